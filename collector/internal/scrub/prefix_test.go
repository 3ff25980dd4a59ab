package scrub

import (
	"math/rand/v2"
	"net/netip"
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
		for _, a := range []netip.Addr{v4, mapped, netip.AddrFrom16(six), netip.AddrFrom16(ter), netip.AddrFrom16(nat)} {
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
