package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/credentials"
)

// Idle is many connections on which nothing happens.
type Idle struct{ conns []net.Conn }

// eachNetwork is how many of them come from one /24: a collector bounds that, and
// one address has no more than some 28,000 ports.
const eachNetwork = 500

const openTimeout = 10 * time.Second

// OpenIdle opens n connections to a collector on this machine, up to the first
// frames of HTTP/2.
func OpenIdle(target string, transport credentials.TransportCredentials, n int) (*Idle, error) {
	idle := &Idle{}
	for i := range n {
		conn, err := openIdle(target, transport.Clone(), i/eachNetwork)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("load: idle connection %d: %w", i+1, err), idle.Close())
		}
		idle.conns = append(idle.conns, conn)
	}
	return idle, nil
}

func openIdle(target string, transport credentials.TransportCredentials, network int) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	from := &net.TCPAddr{IP: net.IPv4(127, byte(1+network/250), byte(1+network%250), 1)}
	raw, err := (&net.Dialer{LocalAddr: from}).DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, err
	}
	conn, _, err := transport.ClientHandshake(ctx, "localhost", raw)
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	// The preface and our settings; the server's settings say that it took them.
	_, err = conn.Write([]byte(http2.ClientPreface))
	framer := http2.NewFramer(conn, conn)
	if err == nil {
		err = framer.WriteSettings()
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Now().Add(openTimeout))
	}
	if err == nil {
		_, err = framer.ReadFrame()
	}
	if err == nil {
		err = framer.WriteSettingsAck()
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// Close closes them all.
func (i *Idle) Close() error {
	var problems []error
	for _, conn := range i.conns {
		problems = append(problems, conn.Close())
	}
	return errors.Join(problems...)
}
