// Package rules makes what is collected coarse, by the rules that the protocol's
// fields carry. The client applies it on the device before anything is written
// or sent; the collector applies it again to what arrives, so that a patched
// client cannot place a text, a precise number or an unknown field in a table.
//
// It guarantees:
//
//   - Only what the rules allow comes out. The result is built field by field,
//     so a field that the protocol does not declare has nowhere to go.
//   - Coarsening what is coarse changes nothing (it is idempotent), so both
//     sides agree, and a batch that is sent twice gives the same rows twice.
//   - The source is not changed, and a Report never holds a value.
//
// How: internal/gen reads the rules from the compiled descriptors and writes
// coarsen.gen.go, straight code over the functions of coarsen.go. A test applies
// the same rules by reflection, without generated code, and compares. The encoder
// beside it takes a third of the time of protobuf's own, which reflects; it runs on
// the threads of somebody else's program.
package rules

//go:generate go run ./internal/gen -out coarsen.gen.go
