package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// DefaultUploadInterval is the least time between two connections.
const DefaultUploadInterval = 24 * time.Hour

// Config says where to keep and where to send. Zero values work, except for
// Endpoint.
type Config struct {
	Endpoint string // the collector, host:port

	// Dir keeps the user's decision and the spool. "": the user's configuration
	// folder, slicemetry below it.
	Dir string
	// PolicyVersion is the version of the privacy policy that the host shows. A
	// grant of an older one counts as no answer until it is given again. 0: 1.
	PolicyVersion uint32
	// RootCAs are the roots that the collector's certificate must come from. nil:
	// the system's.
	RootCAs *x509.CertPool
	// Plaintext sends without TLS, to a loopback address only.
	Plaintext bool
	// UploadInterval is the least time between two connections. 0:
	// DefaultUploadInterval.
	UploadInterval time.Duration
	// Logger is told of what goes wrong, never of what is recorded. nil: nobody.
	Logger *slog.Logger

	// Now and Getenv replace the clock and the environment in tests and
	// simulations. nil: time.Now and os.Getenv.
	Now    func() time.Time
	Getenv func(string) string
}

// complete fills in what was left out and checks the rest.
func (c *Config) complete() error {
	if c.PolicyVersion == 0 {
		c.PolicyVersion = 1
	}
	if c.UploadInterval == 0 {
		c.UploadInterval = DefaultUploadInterval
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Getenv == nil {
		c.Getenv = os.Getenv
	}
	var problems []error
	if c.Dir == "" {
		dir, err := os.UserConfigDir()
		problems = append(problems, err)
		c.Dir = filepath.Join(dir, "slicemetry")
	}
	host, _, err := net.SplitHostPort(c.Endpoint)
	switch {
	case err != nil:
		problems = append(problems, fmt.Errorf("endpoint %q is not host:port", c.Endpoint))
	case c.Plaintext && !loopback(host):
		problems = append(problems, fmt.Errorf("endpoint %q: plaintext is for loopback only", c.Endpoint))
	}
	return errors.Join(problems...)
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// tls returns the configuration of a connection: TLS 1.3, and no session cache,
// by which two connections could be linked.
func (c *Config) tls() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: c.RootCAs, ClientSessionCache: nil}
}
