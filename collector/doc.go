// Package collector receives batches from slicers and stores them.
//
// It guarantees:
//
//   - OK means stored: ClickHouse has committed the rows durably. Anything else
//     means that the client keeps the batch, and nothing of it is lost.
//   - The collector keeps no data on disk, so there is nothing to recover, and
//     any number of collectors can serve the same clients.
//   - A client's address is looked at in one package, edge. What leaves it is a
//     scrub.Prefix, which tells nothing but the network; no address is ever stored,
//     logged or exported.
//   - No octet that a client chose reaches a table, a log, a metric or a status
//     of ours. What gRPC refuses before it is a call may be quoted to its sender.
//
// The path of a batch is Server.upload:
//
//	edge ──▶ admit ──▶ decode ──▶ scrub ──▶ sink ──▶ commit ──▶ OK
//
// The public listener offers Upload, Erase and GetPolicy and nothing else: no reflection, no
// channelz, no health service, no tracing. Health, metrics and profiles are on
// an HTTP listener of their own that must be on loopback.
package collector
