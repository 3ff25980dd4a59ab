package collector

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/slicemetry/slicemetry/collector/internal/sink"
	"github.com/slicemetry/slicemetry/internal/period"
)

// Config is all that a collector needs to know. DefaultConfig holds values that
// work; Database, KeyDir, Policy and TLS or Plaintext have to be given.
type Config struct {
	Listen string // public address, host:port
	Admin  string // health, metrics and profiles; loopback only

	Database Database
	KeyDir   string      // pseudonym keys, shared by replicas
	TLS      *tls.Config // its certificate; the rest is ours
	// Plaintext serves without TLS, which is allowed on loopback only.
	Plaintext bool

	Policy      Policies // what users agreed to, and who answers for it
	StorePrefix string   // "none", or "coarse": how much came from each /16 and /32 that sent much
	// PauseClients tells clients to record and send nothing for so long. 0: they go on.
	PauseClients time.Duration

	FlushAge   time.Duration // the longest that an insert waits for more rows, from the last one's beginning on
	FlushRows  int           // or until there are so many
	MaxPending int           // rows that may wait in memory
	RetryAfter time.Duration // what clients are told to wait, on average, when it does not work now

	LimitRate  float64 // calls a second for each network (/24, /48); 0: no limit
	LimitBurst float64
	MaxStreams uint32 // calls at once on a connection; desktops need one
	MaxCalls   int    // under way at once, on all connections

	MaxConnections        int // at once; 0: 50,000, or as many as the process may open files for
	MaxNetworkConnections int // of them, from one /24 or /48; 0: 1,000
	// Proxies are the networks whose connections begin with a PROXY header, version
	// 2. Nobody else's word about an address counts.
	Proxies []netip.Prefix

	Logger *slog.Logger
	Now    func() time.Time // nil: time.Now
}

// Database is where and as whom to store.
type Database = sink.Database

// StorePrefix values.
const (
	PrefixNone   = "none"
	PrefixCoarse = "coarse"
)

// DefaultConfig returns the values that need no decision.
func DefaultConfig() Config {
	return Config{
		Listen: "127.0.0.1:4680", Admin: "127.0.0.1:4681",
		StorePrefix: PrefixCoarse,
		FlushAge:    200 * time.Millisecond, // long against an insert (20 ms), short against a deadline (15 s)
		FlushRows:   50_000,                 // larger blocks gain nothing, smaller ones cost merges
		// A row takes about 250 octets in columns: 250,000 are about 60 MiB.
		MaxPending: 250_000,
		RetryAfter: time.Minute,
		// A desktop sends one batch a day; a school behind one address sends hundreds.
		LimitRate: 20, LimitBurst: 2000,
		MaxStreams: 16,
		// One waits for its commit with some 40 KiB, garbage included. Were all of them
		// bodies that never end, each a message at most, they would hold 2 GiB.
		MaxCalls: 4096,
		Logger:   slog.New(slog.DiscardHandler),
	}
}

// Validate reports every problem at once.
func (c *Config) Validate() error {
	var problems []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	check(validAddress(c.Listen), "listen: %q is not host:port", c.Listen)
	check(loopback(c.Admin), "admin: %q is not a loopback address; metrics and profiles are not for the public", c.Admin)
	check(c.Database.Address != "", "clickhouse: no address given")
	check(c.KeyDir != "", "keys: no folder given")
	problems = append(problems, c.Policy.validate())
	check(c.PauseClients >= 0 && c.PauseClients <= maxPause, "pause-clients: %s is not between 0 and %s", c.PauseClients, maxPause)
	check(c.StorePrefix == PrefixNone || c.StorePrefix == PrefixCoarse, "store-prefix: %q is neither none nor coarse", c.StorePrefix)
	check(c.Plaintext || c.TLS != nil, "tls-cert and tls-key: none given (or -plaintext, on loopback)")
	check(!c.Plaintext || loopback(c.Listen), "plaintext: %q is not a loopback address; the public listener speaks TLS 1.3 only", c.Listen)
	check(c.FlushAge > 0 && c.FlushAge <= maxFlushAge, "flush-age: %s is not between 0 and %s", c.FlushAge, maxFlushAge)
	check(c.FlushRows > 0, "flush-rows: must be at least 1")
	check(c.MaxPending >= c.FlushRows && c.MaxPending <= sink.MaxBlockRows, "max-pending: must be between flush-rows (%d) and %d, what ClickHouse stores whole", c.FlushRows, sink.MaxBlockRows)
	check(c.RetryAfter > 0, "retry-after: must be more than 0")
	check(c.LimitRate >= 0 && (c.LimitRate == 0 || c.LimitBurst >= 1), "limit-rate: must be 0 or more, and limit-burst at least 1")
	check(c.MaxStreams > 0, "max-streams: must be at least 1")
	check(c.MaxCalls > 0, "max-calls: must be at least 1")
	check(c.MaxConnections >= 0, "max-connections: must be 0 or more")
	check(c.MaxNetworkConnections >= 0, "max-network-connections: must be 0 or more")
	return errors.Join(problems...)
}

// maxPause is as long as clients keep what they have not sent.
const maxPause = period.Retention

// maxFlushAge keeps an acknowledgement well within a client's deadline of 15 s.
const maxFlushAge = 5 * time.Second

func validAddress(address string) bool {
	_, _, err := net.SplitHostPort(address)
	return err == nil
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
