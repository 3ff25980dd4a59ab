// Package fault breaks the running system in every way that one machine allows,
// and checks that what was acknowledged is stored, once, and that the collector's
// books balance to the event.
//
// Smoke versions run with `go test ./bench/fault`; `make fault` repeats the kills
// a thousand times.
package fault

import (
	"io"
	"net"
	"sync"
	"time"
)

// Proxy is a TCP proxy on loopback that fails as it is told.
type Proxy struct {
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	target func() string         // guarded by mu, as is all below
	rule   func() Rule           // asked once a connection
	conns  map[net.Conn]struct{} // both sides
}

// Rule says how a connection fails. The zero value does not.
type Rule struct {
	CutRequest int  // reset both sides after so many octets from the client; 0: never
	CutReply   int  // likewise from the server: what is over is lost
	Rate       int  // octets a second in each direction; 0: no limit
	Hole       bool // takes octets and hands on none
}

// NewProxy starts a proxy to a target, which is asked for with each connection.
func NewProxy(target func() string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, target: target, conns: map[net.Conn]struct{}{}}
	p.running.Go(p.serve)
	return p, nil
}

// Addr returns where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Use makes a rule, nil for none, hold for connections from now on, and resets those there are.
func (p *Proxy) Use(rule func() Rule) {
	p.mu.Lock()
	p.rule = rule
	p.mu.Unlock()
	p.Reset()
}

// Reset resets every connection.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		reset(c)
	}
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() {
	p.listener.Close()
	p.Reset()
	p.running.Wait()
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.pass(client) })
	}
}

func (p *Proxy) pass(client net.Conn) {
	p.mu.Lock()
	target, rule := p.target(), Rule{}
	if p.rule != nil {
		rule = p.rule()
	}
	p.mu.Unlock()
	server, err := net.Dial("tcp", target)
	if err != nil {
		reset(client)
		return
	}
	p.keep(client, server)
	defer p.drop(client, server)
	var both sync.WaitGroup
	forward := func(to, from net.Conn, cut int) {
		if carry(to, from, cut, rule) {
			_ = to.(*net.TCPConn).CloseWrite()
			return
		}
		reset(to)
		reset(from)
	}
	both.Go(func() { forward(server, client, rule.CutRequest) })
	both.Go(func() { forward(client, server, rule.CutReply) })
	both.Wait()
	client.Close()
	server.Close()
}

func (p *Proxy) keep(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
}

func (p *Proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

// carry copies until the sender ends, which it reports as true, or until cut
// octets are through or something fails.
func carry(to io.Writer, from io.Reader, cut int, rule Rule) (ended bool) {
	buffer := make([]byte, 16<<10)
	if rule.Rate > 0 {
		buffer = buffer[:min(len(buffer), max(rule.Rate/10, 1))]
	}
	for passed := 0; ; {
		n, err := from.Read(buffer)
		whole := cut == 0 || passed+n < cut
		if !whole {
			n = cut - passed
		}
		passed += n
		if rule.Rate > 0 {
			time.Sleep(time.Duration(float64(n) / float64(rule.Rate) * float64(time.Second)))
		}
		if !rule.Hole {
			if _, err := to.Write(buffer[:n]); err != nil {
				return false
			}
		}
		if err != nil || !whole {
			return whole && err == io.EOF
		}
	}
}

// reset closes with RST, so that the other side notices at once.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}
