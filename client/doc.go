// Package client records what a slicer does and reports it, when its user agreed.
//
// It guarantees to the host:
//
//   - Record and Count never block on disk or network, never panic and never
//     fail; what they drop they count. No other method and no goroutine panics
//     either, whatever the host's Logger, Now or Getenv do.
//   - Before the user agrees there is no file, no socket, no DNS look-up and no
//     goroutine, and nothing recorded before is ever sent.
//   - What was recorded 50 ms before the process is killed is sent once, later.
//   - Close returns within a moment, whatever the network does.
//
// And to the user: what leaves the device is what Preview shows, octet for
// octet, and Sent shows afterwards; Export hands all of it over; Refuse removes
// everything that was kept before it returns, and Erase has the collector do the
// same. Two weeks of one device cannot be linked by anything that leaves it.
//
// Embedding it takes five calls:
//
//	telemetry, err := client.Open(client.Config{Endpoint: "telemetry.example.org:443"})
//	...                        // once, after the user said yes:
//	err = telemetry.Grant(1)
//	...                        // after each output that was written:
//	telemetry.Record(&telemetryv1.Slice{Machine: "ultimaker_s5", LayerHeightUm: 200})
//	...                        // at exit, with a context of a second or so:
//	err = telemetry.UploadIfDue(ctx)
//	telemetry.Close()
//
// A host whose Open failed logs that and goes on: the methods of a nil client do
// nothing, and a client that cannot connect still lets its user withdraw.
//
// Record makes the event coarse (schema/rules) on the caller's thread, which
// takes under a microsecond, and queues it; a goroutine appends it to the spool on
// disk; another uploads about once a day, a week's batches over one connection,
// and not in the first five to ten minutes: the time would tell when the slicer was
// started. A slicer that is always open for less would never send, which is what
// UploadIfDue is for. It is for the end, not for the start, and costs the user
// something on one day of many only; whoever watches the network then learns when a
// slicer ended.
package client
