package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/slicemetry/slicemetry/client"
)

// open opens the client that the flags describe, with the roots by which to know
// the collector. As client.Open does, it may return a client beside an error.
func (a *agent) open(roots *x509.CertPool) (*client.Client, error) {
	if a.policy > math.MaxUint32 {
		return nil, fmt.Errorf("-policy: there is no version %d", a.policy)
	}
	cfg := client.Config{Dir: a.dir, Endpoint: a.endpoint, Plaintext: a.plaintext, Proxy: a.proxy, PolicyVersion: uint32(a.policy), RootCAs: roots}
	if a.pin != "" {
		cfg.Pins.SHA256 = strings.Split(a.pin, ",")
	}
	return client.Open(cfg)
}

// roots reads the certificate that -ca names; nil are the system's.
func (a *agent) roots() (*x509.CertPool, error) {
	if a.ca == "" {
		return nil, nil
	}
	roots := x509.NewCertPool() // trusts nobody
	pem, err := os.ReadFile(a.ca)
	if err != nil {
		return roots, fmt.Errorf("-ca: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return roots, fmt.Errorf("-ca: %s holds no certificate", a.ca)
	}
	return roots, nil
}

// with opens a client, calls f and closes it, which writes what was recorded. It
// is for what does not connect: an endpoint that is none, or a certificate that
// cannot be read, keeps nobody from withdrawing, and no event from being kept. Should
// it connect after all, because it goes on for so long, it trusts nobody then.
func (a *agent) with(f func(*client.Client) error) error {
	roots, _ := a.roots()
	c, err := a.open(roots)
	if c == nil {
		return err
	}
	return errors.Join(f(c), c.Close())
}

// connected is with, for what connects.
func (a *agent) connected(f func(*client.Client) error) error {
	roots, err := a.roots()
	if err != nil {
		return err
	}
	c, err := a.open(roots)
	if err != nil {
		return errors.Join(err, c.Close())
	}
	return errors.Join(f(c), c.Close())
}

// agreed is f, where the user agreed.
func agreed(f func(*client.Client) error) func(*client.Client) error {
	return func(c *client.Client) error {
		if decision := c.Consent(); decision.State != client.Granted {
			return fmt.Errorf("%w (%s)", client.ErrNoConsent, decision.Rule)
		}
		return f(c)
	}
}

// recording is with, for what records where the user agreed. What the client let
// go of is known when it is closed.
func (a *agent) recording(f func(*client.Client) error) error {
	var c *client.Client
	err := a.with(agreed(func(open *client.Client) error {
		c = open
		return f(c)
	}))
	if c == nil {
		return err
	}
	d := c.Status().DroppedHere
	lost := causes(client.Dropped{Disk: d.Disk, TooMany: d.TooMany, QueueFull: d.QueueFull, Defect: d.Defect})
	if lost != "" {
		err = errors.Join(fmt.Errorf("%w: %s", errNotKept, lost), err)
	}
	return err
}
