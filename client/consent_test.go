package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

func TestWithoutConsentNothingHappens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	connected := make(chan struct{})
	go func() {
		if conn, err := listener.Accept(); err == nil {
			conn.Close()
			close(connected)
		}
	}()
	grantedBefore := t.TempDir()
	if err := granted(t, config(grantedBefore, listener.Addr().String())).Close(); err != nil {
		t.Fatal(err)
	}
	env := func(name, value string) func(string) string {
		return func(asked string) string {
			if asked == name {
				return value
			}
			return ""
		}
	}
	tests := []struct {
		name   string
		dir    string
		change func(*client.Config)
		state  client.State
		rule   string
	}{
		{"fresh", t.TempDir(), func(*client.Config) {}, client.Unknown, "no decision yet"},
		{"do not track", grantedBefore, func(c *client.Config) { c.Getenv = env("DO_NOT_TRACK", "1") }, client.Refused, "environment: DO_NOT_TRACK"},
		{"switched off", grantedBefore, func(c *client.Config) { c.Getenv = env("SLICEMETRY", "off") }, client.Refused, "environment: SLICEMETRY"},
		{"switched off in other words", grantedBefore, func(c *client.Config) { c.Getenv = env("SLICEMETRY", "0") }, client.Refused, "environment: SLICEMETRY"},
		{"CI", grantedBefore, func(c *client.Config) { c.Getenv = env("CI", "true") }, client.Refused, "environment: CI"},
		{"newer policy", grantedBefore, func(c *client.Config) { c.PolicyVersion = 2 }, client.Unknown, "policy version 2 has not been agreed to"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(tt.dir, listener.Addr().String())
			cfg.UploadInterval = time.Nanosecond
			tt.change(&cfg)
			files, goroutines := tree(t, tt.dir), runtime.NumGoroutine()
			c := open(t, cfg)
			for i := range 100 {
				c.Record(numbered(i))
				c.Count(&telemetryv1.UsageCounters{SlicesStarted: 1})
			}
			if got := c.Consent(); got.State != tt.state || got.Rule != tt.rule {
				t.Errorf("%s by %q, want %s by %q", got.State, got.Rule, tt.state, tt.rule)
			}
			if err := c.Flush(t.Context()); !errors.Is(err, client.ErrNoConsent) {
				t.Errorf("Flush() = %v, want ErrNoConsent", err)
			}
			if n := runtime.NumGoroutine(); n > goroutines {
				t.Errorf("%d goroutines were started", n-goroutines)
			}
			if now := tree(t, tt.dir); now != files {
				t.Errorf("files were %s, are %s", files, now)
			}
		})
	}
	select {
	case <-connected:
		t.Error("somebody connected")
	default:
	}
}

// tree lists the files of a folder with their contents' hashes, in effect.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %q\n", path, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// leftovers lists the files that hold anything, but for the decision.
func leftovers(t *testing.T, dir string) string {
	t.Helper()
	var left []string
	for line := range strings.Lines(tree(t, dir)) {
		path, content, _ := strings.Cut(line, " ")
		if filepath.Base(path) != "consent.json" && content != "\"\"\n" {
			left = append(left, path)
		}
	}
	return strings.Join(left, ", ")
}

// A record that cannot be understood is a refusal.
func TestUnreadableConsentIsRefusal(t *testing.T) {
	for _, record := range []string{
		"", "{", "null", `{"format":2,"state":"granted","policy_version":1,"categories":["machine"],"date":"2026-11-23"}`,
		`{"format":1,"state":"maybe","policy_version":1,"categories":["machine"],"date":"2026-11-23"}`,
		`{"format":1,"state":"granted","categories":["machine"],"date":"2026-11-23"}`,
		`{"format":1,"state":"granted","policy_version":1,"date":"2026-11-23"}`,
		`{"format":1,"state":"granted","policy_version":1,"categories":[],"date":"2026-11-23"}`,
		`{"format":1,"state":"granted","policy_version":1,"categories":["geometry"],"date":"2026-11-23"}`,
		`{"format":1,"state":"granted","policy_version":1,"categories":["machine"],"date":"yesterday"}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "consent.json"), []byte(record), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := open(t, config(dir, "127.0.0.1:1")).Consent(); got.State != client.Refused {
			t.Errorf("%q is %s, want refused", record, got.State)
		}
	}
}

func TestRefusalRemovesEverything(t *testing.T) {
	dir := t.TempDir()
	r := clienttest.Start(t)
	r.Script(clienttest.Answer{Code: codes.Unavailable})
	c := granted(t, config(dir, r.Addr()))
	for i := range 300 {
		c.Record(numbered(i))
	}
	var retry *client.RetryError
	if err := c.Flush(t.Context()); !errors.As(err, &retry) {
		t.Fatalf("Flush() = %v, want a RetryError", err)
	}
	c.Record(numbered(300)) // still in memory
	if err := c.Refuse(); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, dir); left != "" {
		t.Errorf("%s is left", left)
	}
	c.Record(numbered(301))
	if err := c.Flush(t.Context()); !errors.Is(err, client.ErrNoConsent) {
		t.Errorf("Flush() = %v, want ErrNoConsent", err)
	}
	// Agreeing again does not bring anything back, and uses another number.
	before := r.Requests()[0].Batch.UnitToken
	if err := c.Grant(1); err != nil {
		t.Fatal(err)
	}
	c.Record(numbered(0))
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertOnce(t, r, 1)
	if requests := r.Requests(); bytes.Equal(requests[len(requests)-1].Batch.UnitToken, before) {
		t.Error("the token outlived the refusal")
	}
}

// A refusal leaves nothing of all that can be in a folder, and says nothing but no.
func TestRefusalLeavesOnlyItself(t *testing.T) {
	dir := t.TempDir()
	prepare(t, dir)
	c := open(t, config(dir, "127.0.0.1:1"))
	c.Record(numbered(0)) // still in memory
	if err := c.Refuse(); err != nil {
		t.Fatal(err)
	}
	assertOnlyARefusal(t, dir, time.Now().UTC().Format(time.DateOnly))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	assertOnlyARefusal(t, dir, time.Now().UTC().Format(time.DateOnly))
}

// A refusal ends an upload that hangs, and nothing is left or sent afterwards.
func TestRefusalEndsAnUpload(t *testing.T) {
	dir := t.TempDir()
	r := clienttest.Start(t)
	r.Script(clienttest.Answer{Hang: true})
	c := granted(t, config(dir, r.Addr()))
	for i := range 500 {
		c.Record(numbered(i))
	}
	flushed := make(chan error)
	go func() { flushed <- c.Flush(t.Context()) }()
	for len(r.Requests()) == 0 {
		time.Sleep(time.Millisecond) // until the first batch is under way
	}
	if err := c.Refuse(); err != nil {
		t.Fatal(err)
	}
	if err := <-flushed; err == nil {
		t.Error("the upload ended well")
	}
	if n := len(r.Requests()); n != 1 {
		t.Errorf("%d requests, want no more than the one under way", n)
	}
	if left := leftovers(t, dir); left != "" {
		t.Errorf("%s is left", left)
	}
}
