// Package audit runs the release on made-up rows, as often as one likes, so that
// anybody can test the promise: hermetic, without a ledger, a database or a
// network.
//
// It guarantees that what it runs is what production runs: bounds by bound.Of
// (which the SQL equals, cell for cell, by test), the split by plan.Split, noise
// and rows by release.Noise with the library's noise. It guarantees too that only
// a Spec decides whether a run is refused. Rows are bounded whatever values they
// hold: a refusal that depended on a value would itself tell something.
//
// How: one process, any number of trials. Rows are bounded once, because bounding
// is a function without chance; each trial draws all of its noise anew. One trial
// in each of a thousand processes is the same as a thousand in one.
//
//	Spec ── plan.Split ─▶ designs ─┐
//	rows ── bound.Of ───▶ cells ───┴─ release.Noise ─▶ rows of trial 0, 1, 2, ...
//
// Nothing in this package may ever read production rows: their noise is drawn
// once. The command refuses to run where a database is configured.
package audit
