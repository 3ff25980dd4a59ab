package edge

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
)

// The PROXY protocol, version 2 (HAProxy, "The PROXY protocol", section 2.2):
//
//	 0       12        13        14       16
//	┌────────┬─────────┬─────────┬────────┬─────────────────────────┬───────┐
//	│ magic  │ version │ family  │ length │ source, destination,    │ TLVs  │
//	│ 12     │ command │ carrier │ 2      │ their ports             │       │
//	└────────┴─────────┴─────────┴────────┴─────────────────────────┴───────┘
//
// Exactly the header is read, so that what follows needs no buffer. Version 1 is
// a line of text of unknown length and is not spoken.
const (
	proxyMagic   = "\r\n\r\n\x00\r\nQUIT\n"
	proxyFixed   = 16
	proxyLocal   = 0x20 // the proxy's own connection: a health check
	proxyProxy   = 0x21
	proxyUnknown = 0x00
	proxyTCP4    = 0x11
	proxyTCP6    = 0x21
	proxyIPv4    = 12 // octets of two IPv4 addresses and ports
	proxyIPv6    = 36
	// maxProxyBody: addresses and a few TLVs. A proxy that has more to say about a
	// client says what is not to be known here.
	maxProxyBody = 512
)

// The errors of a proxy's connection. Neither holds what was read.
var (
	errProxyHeader = errors.New("edge: a proxy's connection begins without a PROXY header of version 2")
	errTooManyHere = errors.New("edge: too many connections from one network")
)

// proxied is what a proxy's connection begins with. It is read by whoever first
// wants octets or the address, under the deadline that gRPC sets for handshakes.
type proxied struct {
	once   sync.Once
	client net.Addr // nil: the proxy speaks for itself
	err    error
}

// read reads the header once, counts the connection on the client's network, and
// closes it where either does not go.
func (p *proxied) read(c *conn) error {
	p.once.Do(func() {
		if p.client, p.err = readProxyHeader(c.Conn); p.err != nil {
			c.refuse(NotProxied)
			return
		}
		address := p.client
		if address == nil {
			address = c.Conn.RemoteAddr()
		}
		c.listener.mu.Lock()
		counted := c.closed.Load() || c.listener.countNetwork(c, address)
		c.listener.mu.Unlock()
		if !counted {
			p.err = errTooManyHere
			c.refuse(TooManyHere)
		}
	})
	return p.err
}

func (c *conn) refuse(reason Reason) {
	c.listener.cfg.Observe(reason)
	c.abort()
}

// readProxyHeader returns the client's address, nil where the proxy names none.
func readProxyHeader(r io.Reader) (net.Addr, error) {
	var fixed [proxyFixed]byte
	if _, err := io.ReadFull(r, fixed[:]); err != nil || string(fixed[:len(proxyMagic)]) != proxyMagic {
		return nil, errProxyHeader
	}
	command, family := fixed[12], fixed[13]
	length := int(binary.BigEndian.Uint16(fixed[14:]))
	var body [maxProxyBody]byte
	if length > len(body) {
		return nil, errProxyHeader
	}
	if _, err := io.ReadFull(r, body[:length]); err != nil {
		return nil, errProxyHeader
	}
	switch {
	case command == proxyLocal, command == proxyProxy && family == proxyUnknown:
		return nil, nil
	case command == proxyProxy && family == proxyTCP4 && length >= proxyIPv4:
		return tcpAddr(body[:4], body[8:10]), nil
	case command == proxyProxy && family == proxyTCP6 && length >= proxyIPv6:
		return tcpAddr(body[:16], body[32:34]), nil
	}
	return nil, errProxyHeader
}

// tcpAddr copies an address out of the header.
func tcpAddr(ip, port []byte) net.Addr {
	return &net.TCPAddr{IP: append(net.IP(nil), ip...), Port: int(binary.BigEndian.Uint16(port))}
}

// isProxy reports whether an address may speak for others.
func (l *Listener) isProxy(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && trusted(l.cfg.Proxies, tcp.AddrPort().Addr())
}

func trusted(proxies []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, p := range proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
