package edge

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func header(command, family byte, body ...byte) []byte {
	h := append([]byte(proxyMagic), command, family)
	h = binary.BigEndian.AppendUint16(h, uint16(len(body)))
	return append(h, body...)
}

var (
	ipv4 = []byte{203, 0, 113, 77, 10, 0, 0, 1, 0x12, 0x34, 0x01, 0xbb}
	ipv6 = append(append(netip.MustParseAddr("2001:db8:1:2::3").AsSlice(), netip.MustParseAddr("::1").AsSlice()...), 0x12, 0x34, 0x01, 0xbb)
)

func TestProxyHeader(t *testing.T) {
	tests := []struct {
		name   string
		header []byte
		want   string // "" for none, "error" for one
	}{
		{"IPv4", header(proxyProxy, proxyTCP4, ipv4...), "203.0.113.77:4660"},
		{"IPv6", header(proxyProxy, proxyTCP6, ipv6...), "[2001:db8:1:2::3]:4660"},
		{"with TLVs", header(proxyProxy, proxyTCP4, append(ipv4, 0x04, 0, 2, 'x', 'y')...), "203.0.113.77:4660"},
		{"the proxy itself", header(proxyLocal, proxyUnknown), ""},
		{"the proxy itself, with addresses", header(proxyLocal, proxyTCP4, ipv4...), ""},
		{"of no family", header(proxyProxy, proxyUnknown), ""},
		{"no header", []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "error"},
		{"version 1", []byte("PROXY TCP4 203.0.113.77 10.0.0.1 4660 443\r\n"), "error"},
		{"another magic", append([]byte("\r\n\r\n\x00\r\nQUIT\r"), header(proxyProxy, proxyTCP4, ipv4...)[len(proxyMagic):]...), "error"},
		{"nothing", nil, "error"},
		{"half", header(proxyProxy, proxyTCP4, ipv4...)[:20], "error"},
		{"too short for IPv4", header(proxyProxy, proxyTCP4, ipv4[:8]...), "error"},
		{"too short for IPv6", header(proxyProxy, proxyTCP6, ipv4...), "error"},
		{"a datagram's", header(proxyProxy, 0x12, ipv4...), "error"},
		{"a Unix socket's", header(proxyProxy, 0x31, make([]byte, 216)...), "error"},
		{"version 3", header(0x31, proxyTCP4, ipv4...), "error"},
		{"an unknown command", header(0x22, proxyTCP4, ipv4...), "error"},
		{"too long", header(proxyProxy, proxyTCP4, make([]byte, maxProxyBody+1)...), "error"},
	}
	for _, tt := range tests {
		r := bytes.NewReader(append(tt.header, "rest"...))
		address, err := readProxyHeader(r)
		got := ""
		switch {
		case err != nil:
			got = "error"
			if strings.Contains(err.Error(), "203") {
				t.Errorf("%s: %v says who came", tt.name, err)
			}
		case address != nil:
			got = address.String()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if err == nil && r.Len() != len("rest") {
			t.Errorf("%s: %d octets are left, want what follows the header", tt.name, r.Len())
		}
	}
}

// Only a configured proxy's word counts; a proxy without a word is closed.
func TestProxies(t *testing.T) {
	l, accepted, s := serve(t, Config{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.7.0/24")}, MaxNetwork: 2})

	stranger := dial(t, l, "127.0.8.1")
	write(t, stranger, string(header(proxyProxy, proxyTCP4, ipv4...)))
	server := <-accepted
	if got := server.RemoteAddr().(*net.TCPAddr).IP.String(); got != "127.0.8.1" {
		t.Errorf("a stranger's header makes it %s", got)
	}
	b := make([]byte, len(proxyMagic))
	if _, err := server.Read(b); err != nil || string(b) != proxyMagic {
		t.Errorf("a stranger's header is not left to the protocol above: %q, %v", b, err)
	}

	for i := range 3 { // three clients of one network, by one proxy
		client := dial(t, l, "127.0.7.1")
		write(t, client, string(header(proxyProxy, proxyTCP4, ipv4...))+"hello")
		server := <-accepted
		b := make([]byte, 5)
		n, err := server.Read(b)
		switch {
		case i == 2 && err == nil:
			t.Error("the network's cap does not hold for proxied clients")
		case i < 2 && (err != nil || string(b[:n]) != "hello" || server.RemoteAddr().String() != "203.0.113.77:4660"):
			t.Errorf("client %d: %q, %v, from %s", i, b[:n], err, server.RemoteAddr())
		}
	}
	other := dial(t, l, "127.0.7.1") // the cap is the client's network's, not the proxy's
	write(t, other, string(header(proxyProxy, proxyTCP6, ipv6...))+"hello")
	if _, err := (<-accepted).Read(b); err != nil {
		t.Errorf("a client of another network: %v", err)
	}
	bare := dial(t, l, "127.0.7.1")
	write(t, bare, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	if _, err := (<-accepted).Read(b); err == nil {
		t.Error("a proxy's connection without a header is served")
	}
	expectClosed(t, bare, "a proxy's connection without a header")
	if s.get(NotProxied) != 1 || s.get(TooManyHere) != 1 || l.Open() != 4 {
		t.Errorf("%v, %d open", s.count, l.Open())
	}
}

// Mapped addresses are the IPv4 ones that the list means.
func TestTrusted(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}
	for addr, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false, "fd12::1": true, "fd12::1%eth0": true, "2001:db8::1": false, "2002:0a01:0203::1": false,
	} {
		if got := trusted(proxies, netip.MustParseAddr(addr)); got != want {
			t.Errorf("trusted(%s) = %t", addr, got)
		}
	}
}

func FuzzProxyHeader(f *testing.F) {
	f.Add(header(proxyProxy, proxyTCP4, ipv4...))
	f.Add(header(proxyProxy, proxyTCP6, ipv6...))
	f.Add(header(proxyLocal, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		_, err := readProxyHeader(r)
		if read := len(data) - r.Len(); err == nil && (read < proxyFixed || read > proxyFixed+maxProxyBody) {
			t.Errorf("%d octets were read as a header", read)
		}
	})
}
