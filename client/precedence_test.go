package client_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// The administrator's file beats the user; whatever it holds but "user" is off.
func TestSystemFile(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir, "127.0.0.1:1")
	cfg.SystemFile = filepath.Join(t.TempDir(), "policy.json")
	if err := granted(t, cfg).Close(); err != nil {
		t.Fatal(err)
	}
	for content, want := range map[string]client.State{
		`{"telemetry": "user"}`: client.Granted, `{"telemetry": "off"}`: client.Refused,
		"": client.Refused, "off": client.Refused, `{"telemetry": "on"}`: client.Refused,
	} {
		if err := os.WriteFile(cfg.SystemFile, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := open(t, cfg).Consent(); got.State != want || want == client.Refused && got.Rule != "system file: "+cfg.SystemFile {
			t.Errorf("%q: %s by %q, want %s", content, got.State, got.Rule, want)
		}
	}
}

// What the user did not agree to never reaches the disk, and agreeing to less
// takes back what waits.
func TestCategories(t *testing.T) {
	r := clienttest.Start(t)
	dir := t.TempDir()
	c := open(t, config(dir, r.Addr()))
	if err := c.Grant(1, "machine", "geometry"); err == nil || c.Consent().State != client.Unknown {
		t.Fatalf("an unknown kind of data: %v, %s", err, c.Consent().State)
	}
	if err := c.Grant(1, "machine", "print_settings"); err != nil {
		t.Fatal(err)
	}
	event := &telemetryv1.Slice{Machine: "ultimaker_s5", LayerHeightUm: 200, Application: "cura", Extruders: []*telemetryv1.Extruder{{MaterialType: "PLA"}}}
	record := func() {
		t.Helper()
		c.Record(event)
		c.Count(&telemetryv1.UsageCounters{SlicesFailed: 1})
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	record()
	b := r.Requests()[0].GetBatch()
	if want := (&telemetryv1.Slice{Machine: "ultimaker_s5", LayerHeightUm: 200}); !proto.Equal(b.Slices[0], want) || b.Counters != nil {
		t.Errorf("sent %v, want %v", b, want)
	}
	if content := tree(t, dir); strings.Contains(content, "PLA") || strings.Contains(content, "cura") {
		t.Error("what was not agreed to is on disk")
	}
	if got := c.Consent().Categories; !slices.Equal(got, []string{"machine", "print_settings"}) {
		t.Errorf("agreed to %v", got)
	}
	c.Record(event)
	if _, err := c.Preview(); err != nil {
		t.Fatal(err)
	}
	if err := c.Grant(1, "machine"); err != nil {
		t.Fatal(err)
	}
	if requests, err := c.Preview(); err != nil || len(requests) != 0 {
		t.Errorf("%d requests wait after agreeing to less, %v", len(requests), err)
	}
	if err := c.Grant(1); err != nil {
		t.Fatal(err)
	}
	record()
	if last := r.Requests()[1].GetBatch(); !proto.Equal(last.Slices[0], event) || last.Counters.GetSlicesFailed() != 1 {
		t.Errorf("sent %v after agreeing to all", last)
	}
}

// A change of the policy is shown when it is announced, and from its day on
// nothing is recorded until the user agrees to it.
func TestPolicyNotice(t *testing.T) {
	r := clienttest.Start(t)
	clock := clienttest.NewClock(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC))
	effective := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	r.Reply(&collectorv1.UploadResponse{PolicyVersion: 1, Next: &collectorv1.PolicyNotice{Version: 2, Effective: uint32(effective.Unix() / 86400)}})
	cfg := config(t.TempDir(), r.Addr())
	cfg.Now = clock.Now
	c := granted(t, cfg)
	flush := func() error {
		c.Record(numbered(0))
		return c.Flush(t.Context())
	}
	if err := flush(); err != nil {
		t.Fatal(err)
	}
	if n := c.Status().Notice; n == nil || n.Version != 2 || !n.Effective.Equal(effective) {
		t.Fatalf("notice %v", n)
	}
	clock.Add(29*24*time.Hour + 11*time.Hour) // the last hour before
	if err := flush(); err != nil {
		t.Errorf("before the day: %v", err)
	}
	clock.Add(time.Hour)
	if err := flush(); !errors.Is(err, client.ErrNoConsent) {
		t.Errorf("on the day: %v, want ErrNoConsent", err)
	}
	decision := open(t, cfg).Consent() // another process, a new start
	if decision.State != client.Unknown || decision.Rule != "policy version 2 has not been agreed to" {
		t.Errorf("%s by %q", decision.State, decision.Rule)
	}
	sent := len(r.Requests())
	if err := c.Grant(2); err != nil {
		t.Fatal(err)
	}
	if c.Status().Notice != nil {
		t.Error("the notice is still shown")
	}
	if err := flush(); err != nil {
		t.Fatal(err)
	}
	if requests := r.Requests(); len(requests) != sent+1 || requests[sent].Batch.PolicyVersion != 2 || len(requests[sent].Batch.Slices) != 1 {
		t.Errorf("sent %v; what was recorded without consent must not be", requests[sent:])
	}
}

// A pause that was noted while the clock was years ahead ends when it is set right.
func TestPauseUnderAWrongClock(t *testing.T) {
	r := clienttest.Start(t)
	clock := clienttest.NewClock(time.Now().AddDate(10, 0, 0))
	cfg := config(t.TempDir(), r.Addr())
	cfg.Now = clock.Now
	c := granted(t, cfg)
	r.Reply(&collectorv1.UploadResponse{PolicyVersion: 1, PauseSeconds: 60 * 24 * 3600}) // more than it may ask for
	c.Record(numbered(0))
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.Add(-time.Hour) // a little is no reason
	if got := open(t, cfg).Consent(); got.State != client.Refused {
		t.Errorf("an hour earlier: %s by %q, want the pause", got.State, got.Rule)
	}
	clock.Add(-10 * 365 * 24 * time.Hour)
	if got := open(t, cfg).Consent(); got.State != client.Granted {
		t.Errorf("when the clock is right: %s by %q", got.State, got.Rule)
	}
}

// Nobody agrees to a policy that neither the host nor the collector spoke of.
func TestGrantOfAPolicyThatDoesNotExist(t *testing.T) {
	cfg := config(t.TempDir(), "127.0.0.1:1")
	cfg.PolicyVersion = 3
	c := open(t, cfg)
	for _, version := range []uint32{0, 4, math.MaxUint32} {
		if err := c.Grant(version); err == nil || c.Consent().State != client.Unknown {
			t.Errorf("Grant(%d) = %v, %s", version, err, c.Consent().State)
		}
	}
	if err := c.Grant(3); err != nil || c.Consent().State != client.Granted {
		t.Errorf("Grant(3) = %v, %s", err, c.Consent().State)
	}
}

// One reply stops a client, also after a restart, for as long as it says.
func TestPause(t *testing.T) {
	r := clienttest.Start(t)
	clock := clienttest.NewClock(time.Now())
	cfg := config(t.TempDir(), r.Addr())
	cfg.Now = clock.Now
	c := granted(t, cfg)
	r.Reply(&collectorv1.UploadResponse{PolicyVersion: 1, PauseSeconds: 3600})
	for i := range 300 { // two batches
		c.Record(numbered(i))
	}
	if err := c.Flush(t.Context()); !errors.Is(err, client.ErrNoConsent) || len(r.Requests()) != 1 {
		t.Errorf("%v after %d requests, want a stop after the first", err, len(r.Requests()))
	}
	restarted := open(t, cfg)
	if decision := restarted.Consent(); decision.State != client.Refused || !strings.HasPrefix(decision.Rule, "the collector asks to pause until ") {
		t.Errorf("%s by %q", decision.State, decision.Rule)
	}
	restarted.Record(numbered(300))
	r.Reply(&collectorv1.UploadResponse{PolicyVersion: 1})
	clock.Add(time.Hour + time.Second)
	if err := open(t, cfg).Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertOnce(t, r, 300)
}
