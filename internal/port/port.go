// Package port chooses loopback ports for servers that are told where to listen.
//
// It guarantees that a port is chosen once in this process, and that the kernel gives it
// to no connection that goes out: it is still free when its server begins to listen, and
// when it does again after it was killed.
package port

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
)

const (
	first = 10_000
	// tries: where half of the ports are taken, all that are tried are once in 10^30 runs.
	tries = 100
)

// ErrNone says that no port was found.
var ErrNone = errors.New("port: none is free")

var chosen sync.Map // what Free returned

// Free returns a port of 127.0.0.1 at which nobody listens.
func Free() (int, error) {
	ports := max(firstOfConnections(), first+tries) - first
	for range tries {
		port := first + rand.IntN(ports)
		if _, taken := chosen.LoadOrStore(port, true); taken {
			continue // by who does not listen there yet
		}
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, ErrNone
}

// firstOfConnections is the lowest port that the kernel gives to connections.
func firstOfConnections() (port int) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if _, errParse := fmt.Sscan(string(text), &port); err != nil || errParse != nil {
		return 32768 // Linux's own; others begin higher
	}
	return port
}
