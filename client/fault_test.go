package client_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
)

// What is wrong on the way to a collector is told apart, in the error, the status
// and the log, and in nobody else's words.
func TestFaults(t *testing.T) {
	secured, roots, _ := secure(t)
	rejects := proxyServer(t, secured.Addr(), nil, socks)
	passes := rejects // with another password
	busy := clienttest.Start(t)
	busy.Script(clienttest.Answer{Code: codes.ResourceExhausted})
	spare := base64.StdEncoding.EncodeToString(make([]byte, sha256.Size))
	for want, change := range map[string]func(*client.Config){
		"dns":     func(c *client.Config) { c.Endpoint = "collector.invalid:443" },
		"refused": func(c *client.Config) { c.Endpoint = "127.0.0.1:1" },
		"tls":     func(c *client.Config) { c.RootCAs = x509.NewCertPool() },
		"tls ":    func(c *client.Config) { c.Endpoint = busy.Addr() }, // which speaks none
		"pin":     func(c *client.Config) { c.Pins.SHA256 = []string{spare, spare} },
		"proxy":   func(c *client.Config) { c.Proxy = "http://user:secret@127.0.0.1:1" },
		"proxy ":  func(c *client.Config) { c.Proxy = "socks5://user:Secret@" + rejects },
		"proxy  ": func(c *client.Config) { c.Proxy = "socks5://127.0.0.1:1" },
		"tls  ": func(c *client.Config) {
			c.RootCAs, c.Proxy = x509.NewCertPool(), "socks5://user:secret@"+passes
			c.Endpoint = "collector.invalid:443"
		},
		"not gRPC": func(c *client.Config) {
			c.Endpoint, c.Plaintext = clienttest.Portal(t, http.StatusOK), true
		},
		"unreachable":       func(c *client.Config) { c.Endpoint, c.Plaintext = clienttest.HalfClosed(t), true },
		"ResourceExhausted": func(c *client.Config) { c.Endpoint, c.Plaintext = busy.Addr(), true },
	} {
		t.Run(want, func(t *testing.T) {
			want := strings.TrimSpace(want)
			var log bytes.Buffer
			cfg := config(t.TempDir(), secured.Addr())
			cfg.Plaintext, cfg.RootCAs, cfg.Logger = false, roots, slog.New(slog.NewTextHandler(&log, nil))
			change(&cfg)
			c := granted(t, cfg)
			c.Record(numbered(0))
			var retry *client.RetryError
			err := c.Flush(t.Context())
			if !errors.As(err, &retry) || retry.Code != want {
				t.Errorf("Flush() = %v, want %q", err, want)
			}
			if s := c.Status(); s.LastError != want || s.SpoolEvents != 1 {
				t.Errorf("status %+v", s)
			}
			if s := open(t, cfg).Status(); s.LastError != want {
				t.Errorf("after a restart the last error is %q", s.LastError)
			}
			if said := log.String() + err.Error(); strings.Contains(said, "secret") || strings.Contains(said, "invalid") || strings.Contains(said, "127.0.0.1") {
				t.Errorf("the log and the error hold more than a class: %s", said)
			}
		})
	}
}

// Whatever became of what is needed to connect: its developer is told, and its user
// can look at what is kept, and withdraw.
func TestWithdrawWithoutNetwork(t *testing.T) {
	for name, change := range map[string]func(*client.Config){
		"endpoint":            func(c *client.Config) { c.Endpoint = "nowhere" },
		"no endpoint":         func(c *client.Config) { c.Endpoint = "" },
		"plaintext elsewhere": func(c *client.Config) { c.Endpoint = "collector.example.org:443" },
		"plaintext, a proxy":  func(c *client.Config) { c.Proxy = "http://127.0.0.1:8080" },
		"proxy":               func(c *client.Config) { c.Plaintext, c.Proxy = false, "user:secret@host" },
		"pin":                 func(c *client.Config) { c.Pins.SHA256 = []string{"short"} },
	} {
		t.Run(name, func(t *testing.T) {
			r := clienttest.Start(t)
			cfg := config(t.TempDir(), r.Addr())
			before := granted(t, cfg)
			before.Record(numbered(0))
			if err := before.Close(); err != nil {
				t.Fatal(err)
			}
			change(&cfg)
			c, err := client.Open(cfg)
			if err == nil || !strings.Contains(err.Error(), "configuration") || strings.Contains(err.Error(), "secret") || c == nil {
				t.Fatalf("Open() = %v, %v", c, err)
			}
			defer c.Close()
			if requests, err := c.Preview(); err != nil || len(requests) != 1 {
				t.Errorf("Preview() shows %d requests, %v", len(requests), err)
			}
			_, policy := c.Policy(t.Context())
			_, erased := c.Erase(t.Context())
			for _, got := range []error{c.Flush(t.Context()), policy, erased} {
				if got == nil || !strings.Contains(got.Error(), err.Error()) {
					t.Errorf("%v, want what Open says", got)
				}
			}
			if n := r.Accepted(); n != 0 {
				t.Errorf("%d connections", n)
			}
			if err := c.Refuse(); err != nil || leftovers(t, cfg.Dir) != "" {
				t.Errorf("Refuse() = %v, left %s", err, leftovers(t, cfg.Dir))
			}
		})
	}
}

// A folder that nobody can name is no client at all, and every problem is named at
// once.
func TestNoFolder(t *testing.T) {
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "AppData"} {
		t.Setenv(name, "")
	}
	cfg := client.Config{Endpoint: "nowhere", Getenv: nothing, SystemFile: filepath.Join(t.TempDir(), "none")}
	c, err := client.Open(cfg)
	if c != nil || err == nil || !strings.Contains(err.Error(), "nowhere") || !strings.Contains(err.Error(), "HOME") && !strings.Contains(err.Error(), "AppData") {
		t.Errorf("Open() = %v, %v", c, err)
	}
}
