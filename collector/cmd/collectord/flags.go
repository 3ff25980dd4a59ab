package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/peterbourgon/ff/v3"

	"github.com/slicemetry/slicemetry/collector"
)

const help = `collectord receives telemetry batches and stores them in ClickHouse. It answers OK
only after the rows are committed, and keeps nothing on disk but the keys of its
pseudonyms. It drains on SIGTERM.

  collectord -listen :4680 -tls-cert collector.crt -tls-key collector.key \
    -keys /var/lib/slicemetry/keys -policy /etc/slicemetry/policies.json

with COLLECTORD_CLICKHOUSE=clickhouse://collector:PASSWORD@127.0.0.1:9000 in the
environment: arguments are visible to every user of the machine. Every flag can
come from the environment in this way, or from -config, a file of lines
"flag value". Flags come first, then the environment, then the file.

The policy file says what users agreed to and who answers for it:

  {"operator": "Example Printing Ltd., 1 Example Street, Example",
   "privacy_contact": "privacy@example.org",
   "complaints": "https://example.org/complaints", "answer_days": 45,
   "current": {"version": 1, "effective": "2026-01-01", "url": "https://example.org/privacy/1"},
   "next": {"version": 2, "published": "2026-11-01", "effective": "2026-12-01",
            "url": "https://example.org/privacy/2", "summary": "What changes."}}

"next" takes over on its day, which must be 30 days after it was published;
clients are told of it, and pause until their users agree to it. The published
pages name the operator and the contact from the same file (aggregator site -policy).

Health is at http://ADMIN/healthz and /readyz, metrics at /metrics.

ClickHouse and a proxy in front log times and addresses by themselves, unless you
switch that off: docs/operations.md says how.

Flags:
`

// parse reads flags, environment and file into a configuration.
func parse(args []string) (collector.Config, error) {
	cfg := collector.DefaultConfig()
	fs := flag.NewFlagSet("collectord", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprint(fs.Output(), help)
		fs.PrintDefaults()
	}
	var dsn, certificate, key string
	var policy, proxies string
	streams := fs.Uint("max-streams", uint(cfg.MaxStreams), "calls at once on a connection")
	fs.IntVar(&cfg.MaxCalls, "max-calls", cfg.MaxCalls, "calls under way at once, about 40 KiB each; more are sent away unread")
	fs.IntVar(&cfg.MaxConnections, "max-connections", 0, "connections at once, about 24 KiB each, 40 with garbage (0: 50000, or what open files allow)")
	fs.IntVar(&cfg.MaxNetworkConnections, "max-network-connections", 0, "of them, from one /24 or /48 (0: 1000)")
	fs.StringVar(&proxies, "proxies", "", "networks of proxies that send a PROXY header (version 2), with commas: 10.1.2.0/24,fd00::/64")
	fs.String("config", "", "file to read flags from")
	fs.StringVar(&cfg.Listen, "listen", cfg.Listen, "public address")
	fs.StringVar(&cfg.Admin, "admin", cfg.Admin, "address of health, metrics and profiles; loopback only")
	fs.StringVar(&dsn, "clickhouse", "", "database, clickhouse://USER:PASSWORD@HOST:PORT, with ?secure=true where it is reached by TLS (required)")
	fs.StringVar(&cfg.KeyDir, "keys", "", "folder of the pseudonym keys, shared by replicas (required)")
	fs.StringVar(&certificate, "tls-cert", "", "certificate chain, PEM (required, or -plaintext)")
	fs.StringVar(&key, "tls-key", "", "its private key, PEM")
	fs.BoolVar(&cfg.Plaintext, "plaintext", false, "serve without TLS, on loopback only")
	fs.StringVar(&policy, "policy", "", "file that says what users agreed to and who answers for it (required)")
	fs.DurationVar(&cfg.PauseClients, "pause-clients", 0, "tell clients to record and send nothing for so long")
	fs.StringVar(&cfg.StorePrefix, "store-prefix", cfg.StorePrefix, "none, or coarse: keep for two days how much came from each /16 and /32 that sent ten batches within an hour")
	fs.DurationVar(&cfg.FlushAge, "flush-age", cfg.FlushAge, "an insert waits for more rows until three times what the last one took have passed since that began, at most this long, and a moment in any case")
	fs.IntVar(&cfg.FlushRows, "flush-rows", cfg.FlushRows, "or until there are so many")
	fs.IntVar(&cfg.MaxPending, "max-pending", cfg.MaxPending, "rows that may wait in memory, about 250 octets each; at most 1048576")
	fs.DurationVar(&cfg.RetryAfter, "retry-after", cfg.RetryAfter, "what clients are told to wait, on average, when they are sent away for now")
	fs.Float64Var(&cfg.LimitRate, "limit-rate", cfg.LimitRate, "calls a second for each /24 or /48; 0: no limit")
	fs.Float64Var(&cfg.LimitBurst, "limit-burst", cfg.LimitBurst, "calls at once for each /24 or /48")
	if err := ff.Parse(fs, args, ff.WithEnvVarPrefix("COLLECTORD"), ff.WithConfigFileFlag("config"), ff.WithConfigFileParser(ff.PlainParser)); err != nil {
		return cfg, err
	}
	cfg.MaxStreams = uint32(*streams)
	var problems []error
	if fs.NArg() > 0 {
		problems = append(problems, fmt.Errorf("%q is not a flag", fs.Arg(0)))
	}
	problems = append(problems, addDatabase(&cfg, dsn), addCertificate(&cfg, certificate, key), addPolicy(&cfg, policy), addProxies(&cfg, proxies))
	return cfg, errors.Join(append(problems, cfg.Validate())...)
}

// honoured are the parameters of a DSN that are not dropped.
var honoured = []string{"secure", "skip_verify", "tls_server_name", "dial_timeout", "username", "password"}

// addDatabase takes a DSN apart, and refuses what it could only drop: the other programs
// hand the same text to the library, and it must not mean less here. An error does not
// repeat the DSN: it holds a password.
func addDatabase(cfg *collector.Config, dsn string) error {
	if dsn == "" {
		return nil // Validate says so
	}
	form := errors.New("clickhouse: want clickhouse://USER:PASSWORD@HOST:PORT, what is special in a password written as %XX")
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil || len(options.Addr) == 0 {
		return form
	}
	_, query, _ := strings.Cut(dsn, "?")
	// Of a query that it cannot read the library drops a part; and where there is a # or
	// another @ it has taken a part of the password for something else.
	parameters, err := url.ParseQuery(query)
	if err != nil || strings.Contains(dsn, "#") || strings.Contains(query, "@") {
		return form
	}
	if options.Auth.Database != "" {
		return errors.New("clickhouse: it names a database; the collector's is raw, and no other")
	}
	for name := range parameters {
		if !slices.Contains(honoured, name) {
			return fmt.Errorf("clickhouse: the parameter %q is not known here; %s are", name, strings.Join(honoured, ", "))
		}
	}
	if len(options.Addr) > 1 {
		return fmt.Errorf("clickhouse: %d addresses given; a collector stores at one", len(options.Addr))
	}
	if _, _, err := net.SplitHostPort(options.Addr[0]); err != nil {
		return form
	}
	if options.Protocol != clickhouse.Native {
		return errors.New("clickhouse: a collector speaks the native protocol, clickhouse://, and not HTTP")
	}
	cfg.Database = collector.Database{
		Address: options.Addr[0], User: options.Auth.Username, Password: options.Auth.Password,
		TLS: options.TLS, DialTimeout: options.DialTimeout,
	}
	return nil
}

// addPolicy reads the policy file. Without one Validate says what is missing.
func addPolicy(cfg *collector.Config, path string) error {
	if path == "" {
		return nil // Validate says so
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	cfg.Policy, err = collector.ParsePolicies(data)
	if err != nil {
		return fmt.Errorf("policy: %s: %w", path, err)
	}
	return nil
}

func addCertificate(cfg *collector.Config, certificate, key string) error {
	if certificate == "" && key == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return fmt.Errorf("tls-cert, tls-key: %w", err)
	}
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	return nil
}

func addProxies(cfg *collector.Config, list string) error {
	var problems []error
	for text := range strings.SplitSeq(list, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("proxies: %q is not a network such as 10.1.2.0/24", text))
		}
		cfg.Proxies = append(cfg.Proxies, network)
	}
	return errors.Join(problems...)
}
