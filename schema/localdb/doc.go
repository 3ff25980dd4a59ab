// Package localdb runs a ClickHouse of one's own on loopback: for tests, for the
// demonstration, and for an operator with one machine.
//
// It guarantees that a Server which Start returned answers on the native and the
// HTTP protocol, on 127.0.0.1 only, to the users given and to nobody without a
// password; that the same directory comes back after a crash with its data, its
// ports and its passwords; that two servers never share a directory; and that
// the engine ends with the process that started it, however that ends.
//
// The engine is a shared library from an npm package (`make engine` installs it)
// or a `clickhouse` binary on PATH. Either runs its local mode with listeners,
// in a process of its own:
//
//	this program ── Start ──▶ this program again ──▶ libchdb.so
//	     │                    (RunEngineIfChild)       │ listens on 127.0.0.1
//	     └──── standard input: a pipe ─────────────────┘ reads it until it ends
//
// The engine's last query reads the pipe. Closing it ends the query and with it
// the engine, cleanly; when this process is killed the kernel closes it.
//
// A program that calls Start begins its main (or TestMain) with
//
//	localdb.RunEngineIfChild()
//
// and then
//
//	db, err := localdb.Start(ctx, localdb.Config{Dir: dir, Users: users})
//	defer db.Stop(ctx)
//	conn, err := clickhouse.Open(db.Options("collector"))
//
// Version 26.7 of the engine ends when the greeting of a native connection fails
// (a wrong password, a client that is gone by then): an exception that nothing
// catches. Done tells; Restart brings it back with everything that was
// acknowledged. It is one more reason why this is for loopback, where whoever can
// connect could also end the process.
package localdb
