package client

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// DefaultUploadInterval is the least time between two connections.
const DefaultUploadInterval = 24 * time.Hour

// Config says where to keep and where to send. Zero values work, except for
// Endpoint.
type Config struct {
	Endpoint string // the collector, host:port

	// Dir keeps the user's decision and the spool. "": the user's configuration
	// folder, slicemetry below it. Where the user has none Open fails: without a
	// place for a decision nobody can agree to anything.
	Dir string
	// PolicyVersion is the version of the privacy policy that the host shows. A
	// grant of an older one counts as no answer until it is given again. 0: 1.
	PolicyVersion uint32
	// RootCAs are the roots that the collector's certificate must come from. nil:
	// the system's.
	RootCAs *x509.CertPool
	// Pins are keys, one of which the collector's certificate chain must hold. The
	// zero value asks for none.
	Pins Pins
	// Proxy is the URL of the proxy to go through: http, https or socks5, with user
	// and password where it asks for them. "": HTTPS_PROXY and NO_PROXY say.
	// NoProxy: none. Not with Plaintext.
	Proxy string
	// SystemFile is an administrator's file which beats the user: {"telemetry":
	// "off"}. "": DefaultSystemFile. It need not exist.
	SystemFile string
	// Plaintext sends without TLS, to a loopback address only and through no proxy.
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

// complete fills in what was left out.
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
	if c.SystemFile == "" {
		c.SystemFile = DefaultSystemFile()
	}
	if c.Dir == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return err
		}
		c.Dir = filepath.Join(dir, "slicemetry")
	}
	return nil
}

// validateNetwork checks what is needed to connect, and only then: nothing of it
// keeps anybody from withdrawing.
func (c *Config) validateNetwork() error {
	problems := []error{c.Pins.validate(), c.validateProxy()}
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

// DefaultSystemFile is where an administrator, a school or a distribution
// switches telemetry off for everybody.
func DefaultSystemFile() string {
	switch runtime.GOOS {
	case "windows":
		return filepath.Join(os.Getenv("ProgramData"), "slicemetry", "policy.json")
	case "darwin":
		return "/Library/Application Support/slicemetry/policy.json"
	}
	return "/etc/slicemetry/policy.json"
}
