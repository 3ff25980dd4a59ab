package collector_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/slicemetry/slicemetry/collector"
)

// What the configuration says of connections holds at the public address: a trusted
// proxy's clients count as their own networks, calls and connections both, caps are
// kept, and who is sent away is counted by the reason.
func TestConnectionsAsConfigured(t *testing.T) {
	r := start(t, func(cfg *collector.Config) {
		cfg.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.7.0/24")}
		cfg.MaxNetworkConnections, cfg.MaxConnections = 2, 5
		cfg.LimitRate, cfg.LimitBurst = 0.001, 2
	})
	proxy, stranger := local("127.0.7.1"), local("127.0.8.1")
	upload := func(c *raw, stream uint32) string {
		t.Helper()
		_ = errors.Join(c.open(stream, uploadPath), c.WriteData(stream, true, framed(t, request(1)))) // told by the answer
		return c.answer(stream)
	}
	for _, tt := range []struct {
		name    string
		dialer  *net.Dialer
		first   string
		answers []string
	}{
		{"a client by the proxy", proxy, proxyHeader("203.0.113.7"), []string{"0"}},
		{"its neighbour, with whom it shares an allowance", proxy, proxyHeader("203.0.113.200"), []string{"0", "8"}},
		{"one too many of their network", proxy, proxyHeader("203.0.113.9"), []string{"closed"}},
		{"another network, by the same proxy", proxy, proxyHeader("198.51.100.1"), []string{"0"}},
		{"the proxy without a header", proxy, "", []string{"closed"}},
		{"a stranger with a header", stranger, proxyHeader("192.0.2.1"), []string{"closed"}},
		{"a stranger", stranger, "", []string{"0"}},
		{"another", stranger, "", []string{"0"}},
		{"one too many in all", local("127.0.9.1"), "", []string{"closed"}},
	} {
		c := dialRawBy(t, tt.dialer, r.Addr(), tt.first)
		for i, want := range tt.answers {
			if got := upload(c, uint32(2*i+1)); got != want {
				t.Errorf("%s: call %d is answered %s, want %s", tt.name, i, got, want)
			}
		}
	}
	for reason, want := range map[string]string{
		"too_many": "1", "too_many_network": "1", "proxy_header": "1", "read_stalled": "0", "write_stalled": "0", "too_old": "0",
	} {
		if n := r.metric(t, `slicemetry_connections_closed_total{reason="`+reason+`"}`); n != want {
			t.Errorf("%s connections are counted as closed by %s, want %s", n, reason, want)
		}
	}
	r.balanced(t)
}

// local dials from another loopback address.
func local(ip string) *net.Dialer { return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}} }

// proxyHeader is what a proxy says of a client, in version 2 of the PROXY protocol.
func proxyHeader(ip string) string {
	return "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + string(net.ParseIP(ip).To4()) + "\x7f\x00\x00\x01\x12\x34\x01\xbb"
}
