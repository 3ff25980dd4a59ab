package scrub

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

// Whatever the address, and however an IPv4 one is wrapped, no bit beyond the
// mask of the address itself is left, and all wrappings of one address agree.
func TestPrefixKeepsNoMore(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	octets := func() (b [16]byte) {
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	for range 20_000 {
		b := octets()
		v4 := netip.AddrFrom4([4]byte(b[:4]))
		mapped := netip.AddrFrom16(v4.As16()).WithZone("eth0")
		six, ter, nat := octets(), octets(), octets()
		copy(six[:], []byte{0x20, 0x02, b[0], b[1], b[2], b[3]})
		copy(ter[:], []byte{0x20, 0x01, 0, 0})
		copy(ter[12:], []byte{^b[0], ^b[1], ^b[2], ^b[3]})
		copy(nat[:], []byte{0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, b[0], b[1], b[2], b[3]})
		for _, a := range []netip.Addr{v4, mapped, netip.AddrFrom16(six), netip.AddrFrom16(six).WithZone("en0"), netip.AddrFrom16(ter), netip.AddrFrom16(nat)} {
			p := PrefixOf(a)
			if want := netip.PrefixFrom(netip.AddrFrom4([4]byte{b[0], b[1], b[2], 0}), 24); p.Fine() != want {
				t.Fatalf("%s becomes %s, want %s", a, p.Fine(), want)
			}
			if want := netip.PrefixFrom(netip.AddrFrom4([4]byte{b[0], b[1], 0, 0}), 16); p.Coarse() != want {
				t.Fatalf("%s becomes %s, want %s", a, p.Coarse(), want)
			}
		}
		any := netip.AddrFrom16(octets()).WithZone("en0")
		for _, network := range []netip.Prefix{PrefixOf(any).Fine(), PrefixOf(any).Coarse()} {
			if network.Masked() != network || network.Addr().Zone() != "" || network.Bits() > 48 {
				t.Fatalf("%s becomes %s", any, network)
			}
		}
	}
}

// The special forms by hand. What is not unwrapped keeps no octet of the IPv4
// address 203.0.113.77 that it may carry, wherever it lies.
func TestPrefixVectors(t *testing.T) {
	tests := []struct{ name, addr, fine, coarse string }{
		{"IPv4", "203.0.113.77", "203.0.113.0/24", "203.0.0.0/16"},
		{"IPv6", "2001:db8:1:2::3", "2001:db8:1::/48", "2001:db8::/32"},
		{"IPv6, all of it", "2001:db8:1234:5678:9abc:def0:1234:5678", "2001:db8:1234::/48", "2001:db8::/32"},
		{"mapped", "::ffff:203.0.113.77", "203.0.113.0/24", "203.0.0.0/16"},
		{"6to4", "2002:cb00:714d::1", "203.0.113.0/24", "203.0.0.0/16"},
		{"6to4 with a subnet", "2002:cb00:714d:1::1", "203.0.113.0/24", "203.0.0.0/16"},
		{"Teredo by another server", "2001:0:53aa:64c:0:ffff:34ff:8eb2", "203.0.113.0/24", "203.0.0.0/16"},
		{"Teredo", "2001:0:cb00:7101:0:ffff:34ff:8eb2", "203.0.113.0/24", "203.0.0.0/16"},
		{"NAT64", "64:ff9b::203.0.113.77", "203.0.113.0/24", "203.0.0.0/16"},
		{"NAT64 of a site, /48", "64:ff9b:1:cb00:0071:4d00::", "64:ff9b:1::/48", "64:ff9b::/32"},
		{"NAT64 of a site, /56", "64:ff9b:1:aacb:00:7100:4d00:0", "64:ff9b:1::/48", "64:ff9b::/32"},
		{"NAT64 of a site, /64", "64:ff9b:1:aabb:cb:71:4d00:0", "64:ff9b:1::/48", "64:ff9b::/32"},
		{"NAT64 of a site, /96", "64:ff9b:1::203.0.113.77", "64:ff9b:1::/48", "64:ff9b::/32"},
		{"beside NAT64", "64:ff9b:0:1::203.0.113.77", "64:ff9b::/48", "64:ff9b::/32"},
		{"translated, RFC 7915", "::ffff:0:203.0.113.77", "::/48", "::/32"},
		{"compatible, RFC 4291", "::203.0.113.77", "::/48", "::/32"},
		{"all ones, IPv4", "255.255.255.255", "255.255.255.0/24", "255.255.0.0/16"},
		{"all ones, IPv6", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff::/48", "ffff:ffff::/32"},
		{"loopback", "::1", "::/48", "::/32"},
		{"mapped with a zone", "::ffff:203.0.113.77%eth0", "203.0.113.0/24", "203.0.0.0/16"},
		{"link-local, short, with a zone", "fe80::1%eth0", "fe80::/48", "fe80::/32"},
		{"link-local with a zone", "fe80::cb00:714d%eth0", "fe80::/48", "fe80::/32"},
	}
	for _, tt := range tests {
		p := PrefixOf(netip.MustParseAddr(tt.addr))
		if p.Fine().String() != tt.fine || p.Coarse().String() != tt.coarse {
			t.Errorf("%s: %s and %s, want %s and %s", tt.name, p.Fine(), p.Coarse(), tt.fine, tt.coarse)
		}
		for _, printed := range []string{p.String(), fmt.Sprint(p), fmt.Sprintf("%+v", p), logged(p)} {
			if printed != "[redacted]" {
				t.Errorf("%s prints itself as %s", tt.name, printed)
			}
		}
	}
	for _, p := range []Prefix{{}, PrefixOf(netip.Addr{})} {
		if p.Fine().IsValid() || p.Coarse().IsValid() {
			t.Error("no address has a network")
		}
	}
}

func logged(v any) string {
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
	_, value, _ := strings.Cut(strings.TrimSpace(b.String()), " v=")
	return value
}
