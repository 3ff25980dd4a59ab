package scrub

import (
	"log/slog"
	"net/netip"
)

// How much of an address is kept, in bits. The fine prefix is a household or a
// small office; the coarse one a provider's region.
const (
	fineIPv4, fineIPv6     = 24, 48
	coarseIPv4, coarseIPv6 = 16, 32
)

// Prefix is a peer's address, of which nothing but Fine and Coarse can be had: they
// truncate it. It does not print itself.
type Prefix struct {
	addr netip.Addr // unwrapped; the zero value is no address
}

// PrefixOf unwraps an address: an IPv4 address that travels inside of an IPv6
// one (mapped, 6to4, Teredo, NAT64) is that IPv4 address, or half of the world
// would share one prefix. A zone is dropped.
//
// A NAT64 of a site's own (RFC 8215: 64:ff9b:1::/48) is left as it is: where in it
// the IPv4 address lies is the site's choice (RFC 6052, 2.2), and a guess would keep
// the wrong octets. Wherever it lies is behind the 48 bits that are kept at most.
func PrefixOf(a netip.Addr) Prefix {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return Prefix{a}
	}
	b := a.As16()
	switch {
	case sixToFour.Contains(a): // RFC 3056: 2002:AABB:CCDD::/48
		return Prefix{netip.AddrFrom4([4]byte(b[2:6]))}
	case teredo.Contains(a): // RFC 4380: the client's address, inverted, comes last
		return Prefix{netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})}
	case nat64.Contains(a): // RFC 6052: 64:ff9b::AABB:CCDD
		return Prefix{netip.AddrFrom4([4]byte(b[12:16]))}
	}
	return Prefix{a}
}

var (
	sixToFour = netip.MustParsePrefix("2002::/16")
	teredo    = netip.MustParsePrefix("2001::/32")
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
)

// Fine is the network that limits apply to: /24 or /48. It is never stored.
func (p Prefix) Fine() netip.Prefix { return p.truncate(fineIPv4, fineIPv6) }

// Coarse is what may be stored for a day or two: /16 or /32.
func (p Prefix) Coarse() netip.Prefix { return p.truncate(coarseIPv4, coarseIPv6) }

func (p Prefix) truncate(bits4, bits6 int) netip.Prefix {
	bits := bits6
	if p.addr.Is4() {
		bits = bits4
	}
	network, err := p.addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address, so no network
	}
	return network
}

// LogValue implements slog.LogValuer: nothing of an address is ever logged.
func (Prefix) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// String implements fmt.Stringer, likewise.
func (Prefix) String() string { return "[redacted]" }
