// Package edge is the collector's public listener: what stands between the
// network and gRPC.
//
// It guarantees that connections are bounded, in all and for each network; that
// they are taken no faster than the machine can shake hands; and that a
// connection whose peer does not get on is closed by a stated time, whatever the
// protocol above believes. It keeps no address: a network is a number, under a
// key that this process drew and that nothing outlives.
//
//	accept ─▶ pace ─▶ caps ─▶ [PROXY header] ─▶ conn ─▶ TLS, HTTP/2
//	                                              ▲
//	                           sweep, every second: stalled? too old?
//
// What gRPC bounds itself is left to it: the handshake (ConnectionTimeout), idle
// connections, streams, headers, messages. What it does not bound, in version
// 1.85, is bounded here:
//
//   - A peer that does not read: the writer blocks, and the order to close a
//     connection that is too old waits behind it for ever.
//   - A peer that opens a stream just after the GOAWAY of an idle connection: its
//     timers have ended by then, so neither age nor idleness closes it.
//   - A peer that trickles: every octet counts as life.
//
// Deadlines on each read and write would do the same and cost a timer's change
// for each. Here a read and a write store a number, and one goroutine looks.
package edge
