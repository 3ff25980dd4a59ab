package client

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/slicemetry/slicemetry/client/internal/unary"
)

// NoProxy as Config.Proxy connects directly, whatever the environment says.
const NoProxy = "direct"

// dial prepares a connection, none of which outlives ctx. The name is looked up by
// whoever connects: by a proxy where there is one, so that a closed network sees
// no look-up of ours.
func (c *Client) dial(ctx context.Context) *unary.Conn {
	secure := c.cfg.tls()
	if c.cfg.Plaintext {
		secure = nil
	}
	return unary.New(ctx, c.cfg.Endpoint, secure, c.cfg.socks, c.cfg.connect)
}

// connect connects to the collector, or to a SOCKS proxy.
func (c *Config) connect(ctx context.Context, sockets *unary.Sockets, network, address string) (net.Conn, error) {
	via, err := c.proxy()
	if err == nil && (via == nil || isSOCKS(via)) {
		return sockets.DialContext(ctx, network, address)
	}
	var conn net.Conn
	if err == nil {
		conn, err = tunnel(ctx, sockets, via, address)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", unary.Proxy, err)
	}
	return conn, nil
}

// socks is the SOCKS proxy to go through, which net/http knows how to do.
func (c *Config) socks(*http.Request) (*url.URL, error) {
	if via, err := c.proxy(); err == nil && via != nil && isSOCKS(via) {
		return via, nil
	}
	return nil, nil // connect says what is wrong
}

func isSOCKS(via *url.URL) bool { return via.Scheme == "socks5" || via.Scheme == "socks5h" }

// validateProxy checks what the host says. A proxy of the environment's that is
// none shows when somebody connects.
func (c *Config) validateProxy() error {
	if c.Proxy == "" || c.Proxy == NoProxy {
		return nil
	}
	if c.Plaintext {
		return errors.New("plaintext goes through no proxy: what is sent would leave this device in the clear")
	}
	_, err := c.proxy()
	return err
}

// errBadProxy does not repeat the proxy: its address may hold a password.
var errBadProxy = errors.New("the proxy is not a URL of http, https or socks5")

func (c *Config) proxy() (*url.URL, error) {
	switch {
	case c.Proxy == NoProxy || c.Plaintext:
		return nil, nil
	case c.Proxy == "":
		via, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: c.Endpoint}})
		if err != nil {
			return nil, errBadProxy
		}
		return via, nil
	}
	via, err := url.Parse(c.Proxy)
	if err != nil || via.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, via.Scheme) {
		return nil, errBadProxy
	}
	return via, nil
}

// tunnel asks an HTTP proxy for a connection (RFC 9110, 9.3.6).
func tunnel(ctx context.Context, sockets *unary.Sockets, via *url.URL, address string) (net.Conn, error) {
	port := via.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[via.Scheme]
	}
	conn, err := sockets.DialContext(ctx, "tcp", net.JoinHostPort(via.Hostname(), port))
	if err != nil {
		return nil, err
	}
	if via.Scheme == "https" {
		conn = tls.Client(conn, &tls.Config{ServerName: via.Hostname()})
	}
	if err := ask(ctx, conn, via, address); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// ask sends CONNECT and reads the answer.
func ask(ctx context.Context, conn net.Conn, via *url.URL, address string) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{"User-Agent": {unary.UserAgent}}}
	if via.User != nil {
		password, _ := via.User.Password()
		request.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(via.User.Username()+":"+password)))
	}
	if err := request.Write(conn); err != nil {
		return err
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the proxy answers %d", response.StatusCode)
	}
	if reader.Buffered() > 0 { // a TLS server waits for us to begin
		return errors.New("the proxy sends what nobody asked for")
	}
	return nil
}

// Pins are public keys, one of which must be in the collector's verified
// certificate chain. More than one is needed: who loses the only key could never
// be reached again.
type Pins struct {
	SHA256 []string  // base64 of the SHA-256 of a SubjectPublicKeyInfo (RFC 7469, 2.4)
	Until  time.Time // afterwards they are not asked for; zero: always
}

func (p Pins) validate() error {
	if len(p.SHA256) == 0 {
		return nil
	}
	for _, pin := range p.SHA256 {
		if sum, err := base64.StdEncoding.DecodeString(pin); err != nil || len(sum) != sha256.Size {
			return fmt.Errorf("pin %q is not the base64 of a SHA-256", pin)
		}
	}
	if len(p.SHA256) < 2 {
		return errors.New("one pin is not enough: a spare one is needed")
	}
	return nil
}

var errNotPinned = fmt.Errorf("none of the pinned keys is in the collector's certificate chain: %w", unary.Pin)

// tls returns the configuration of a connection: TLS 1.3, no session cache, by
// which two connections could be linked, and the pins.
func (c *Config) tls() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: c.RootCAs, ClientSessionCache: nil, VerifyConnection: c.checkPins}
}

func (c *Config) checkPins(state tls.ConnectionState) error {
	if len(c.Pins.SHA256) == 0 || !c.Pins.Until.IsZero() && c.Now().After(c.Pins.Until) {
		return nil
	}
	for _, chain := range state.VerifiedChains {
		if slices.ContainsFunc(chain, c.pinned) {
			return nil
		}
	}
	return errNotPinned
}

func (c *Config) pinned(certificate *x509.Certificate) bool {
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return slices.Contains(c.Pins.SHA256, base64.StdEncoding.EncodeToString(sum[:]))
}
