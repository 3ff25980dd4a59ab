package edge

import (
	"encoding/binary"
	"errors"
	"net"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/credentials"
)

// Watch returns credentials whose connections are closed where a call's body comes in
// crumbs. gRPC keeps each DATA frame of a body as it came, and a frame of one octet takes 45 of
// memory, so that bodies could hold far more than their sizes say. observe is told of each
// connection that is closed for it, or whose handshake failed.
func Watch(inner credentials.TransportCredentials, observe func(Reason)) credentials.TransportCredentials {
	return &watched{inner, observe}
}

type watched struct {
	credentials.TransportCredentials
	observe func(Reason)
}

// ServerHandshake implements credentials.TransportCredentials.
func (w *watched) ServerHandshake(inner net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, info, err := w.TransportCredentials.ServerHandshake(inner)
	if err != nil {
		w.observe(HandshakeFailed)
		return nil, nil, err
	}
	return &frames{Conn: c, observe: w.observe, payload: len(http2.ClientPreface)}, info, nil
}

// Clone implements credentials.TransportCredentials.
func (w *watched) Clone() credentials.TransportCredentials {
	return &watched{w.TransportCredentials.Clone(), w.observe}
}

const (
	// frameCost is what a frame of DATA has to bring on the average. Clients fill frames, of 16 KiB as a
	// rule; a call's last is what is left.
	frameCost = 1 << 10
	// allowance is what a call may owe: sixteen empty frames.
	allowance = 16 * frameCost
	// maxBodies is how many unfinished bodies of a connection have accounts: more than it may
	// have calls, because those that were refused may never be finished.
	maxBodies = 64

	frameHeader = 9
)

var errCrumbs = errors.New("edge: a body in crumbs")

// frames is a connection, of which one goroutine reads, that looks at the frames that come.
type frames struct {
	net.Conn
	observe func(Reason)
	payload int // octets of the preface, or of a frame, that are still to come
	header  [frameHeader]byte
	has     int            // octets of the next header
	bodies  map[uint32]int // what each unfinished body owes
}

// Read implements net.Conn.
func (f *frames) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	for rest := b[:n]; len(rest) > 0; {
		if f.payload > 0 {
			skipped := min(f.payload, len(rest))
			f.payload -= skipped
			rest = rest[skipped:]
			continue
		}
		copied := copy(f.header[f.has:], rest)
		f.has += copied
		rest = rest[copied:]
		if f.has == frameHeader && !f.begin() {
			f.observe(Crumbled)
			_ = f.Close()
			return 0, errCrumbs
		}
	}
	return n, err
}

// begin books the frame whose header is there, and reports false where it is one too many.
func (f *frames) begin() bool {
	f.has = 0
	f.payload = int(binary.BigEndian.Uint32(f.header[:]) >> 8)
	if http2.FrameType(f.header[3]) != http2.FrameData {
		return true
	}
	call := binary.BigEndian.Uint32(f.header[5:]) &^ (1 << 31)
	if http2.Flags(f.header[4]).Has(http2.FlagDataEndStream) {
		delete(f.bodies, call)
		return true
	}
	owed, known := f.bodies[call]
	if !known {
		f.makeRoom()
	}
	owed = max(0, owed+frameCost-f.payload)
	f.bodies[call] = owed
	return owed <= allowance
}

// makeRoom closes the account of the oldest body where there are too many: those of
// calls that were refused.
func (f *frames) makeRoom() {
	if f.bodies == nil {
		f.bodies = make(map[uint32]int)
	}
	if len(f.bodies) < maxBodies {
		return
	}
	oldest := uint32(1 << 31)
	for call := range f.bodies {
		oldest = min(oldest, call)
	}
	delete(f.bodies, oldest)
}
