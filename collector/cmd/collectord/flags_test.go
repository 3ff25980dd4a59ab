package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// What a DSN says is done or refused, never dropped: an operator who asked for an
// encrypted link, or for another server, has it or hears that he has not.
func TestDatabaseIsTakenWholeOrRefused(t *testing.T) {
	const form = "want clickhouse://USER:PASSWORD@HOST:PORT"
	for dsn, want := range map[string]string{
		"clickhouse://u:hunter2@db:9000":                                   "",
		"clickhouse://u:hunter2@db:9000/":                                  "",
		"clickhouse://db:9000?username=u&password=hunter2":                 "",
		"clickhouse://u:hunter2@db:9000?dial_timeout=5s":                   "",
		"clickhouse://u:hunter2@db:9440?secure=true":                       "",
		"clickhouse://u:hunter2@db:9440?secure=true&tls_server_name=other": "",
		"clickhouse://u:hunter2@db:9440?secure=true&skip_verify=true":      "",

		"clickhouse://u:hunter2@db:9000?compress=zstd":                 `the parameter "compress"`,
		"clickhouse://u:hunter2@db:9000?secure=true&read_timeout=1s":   `the parameter "read_timeout"`,
		"clickhouse://u:hunter2@db:9000?async_insert=1":                `the parameter "async_insert"`,
		"clickhouse://u:hunter2@db1:9000?alt_hosts=db2:9000":           `the parameter "alt_hosts"`,
		"clickhouse://u:hunter2@db1:9000,db2:9000":                     "2 addresses",
		"clickhouse://u:hunter2@db:9000/elsewhere":                     "a database",
		"clickhouse://u:hunter2@db:9000?database=elsewhere":            "a database",
		"http://u:hunter2@db:8123":                                     "the native protocol",
		"clickhouse://u:hunter2@db":                                    form,
		"clickhouse://u:hunter2@db:9000?dial_timeout=1s;secure=true":   form, // the library drops what a semicolon is in
		"clickhouse://u:hunter2@db:9440?secure=perhaps":                form,
		"clickhouse://u:12?hunter2@db:9000":                            form,
		"clickhouse://u:12#hunter2@db:9000":                            form,
		"clickhouse://u:12?a&hunter2@db:9000":                          form,
		"clickhouse://u:hun/ter2@db:9000":                              form,
		"clickhouse://u:hunter2@db:9000?secure=true&tls_server_name=%": form,
	} {
		_, err := parse([]string{"-clickhouse", dsn})
		var said string
		for line := range strings.Lines(err.Error()) { // of all that is missing here
			if strings.HasPrefix(line, "clickhouse: ") {
				said += line
			}
		}
		if want == "" && said != "" || !strings.Contains(said, want) {
			t.Errorf("%s: said %q, want %q", dsn, said, want)
		}
		if strings.Contains(said, "hunter2") || strings.Contains(said, "ter2") {
			t.Errorf("%s: the password is in %q", dsn, said)
		}
	}
}

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
