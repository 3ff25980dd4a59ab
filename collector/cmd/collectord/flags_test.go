package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// Whose word counts about an address, and how many connections there may be, is what
// the operator wrote. (That the rest is not given is not what is tested.)
func TestConnectionFlags(t *testing.T) {
	cfg, err := parse([]string{"-max-connections", "300", "-max-network-connections", "20", "-max-streams", "3", "-max-calls", "40",
		"-proxies", " 10.1.2.0/24, fd00::/64 ,"})
	if err == nil || strings.Contains(err.Error(), "proxies") {
		t.Errorf("%v, want what is missing, and nothing of the proxies", err)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.1.2.0/24"), netip.MustParsePrefix("fd00::/64")}
	if !slices.Equal(cfg.Proxies, want) {
		t.Errorf("proxies %v, want %v", cfg.Proxies, want)
	}
	if cfg.MaxConnections != 300 || cfg.MaxNetworkConnections != 20 || cfg.MaxStreams != 3 || cfg.MaxCalls != 40 {
		t.Errorf("caps %d, %d, %d and %d", cfg.MaxConnections, cfg.MaxNetworkConnections, cfg.MaxStreams, cfg.MaxCalls)
	}
	if cfg, _ := parse(nil); len(cfg.Proxies) != 0 {
		t.Errorf("proxies that nobody named: %v", cfg.Proxies)
	}
	for _, list := range []string{"10.1.2.3", "10.1.2.0/33", "fd00::/64;10.1.2.0/24", "10.1.2.0/24,proxy.example.org"} {
		if _, err := parse([]string{"-proxies", list}); err == nil || !strings.Contains(err.Error(), "proxies: ") {
			t.Errorf("%q: %v, want an error that names the flag", list, err)
		}
	}
}
