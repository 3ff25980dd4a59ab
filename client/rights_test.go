package client_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// weeks records n events in each of some weeks, with a flush after each week
// where sent, and returns the client in the last week.
func weeks(t *testing.T, r *clienttest.Recorder, weeks, n int, flush bool) (*client.Client, *clienttest.Clock) {
	t.Helper()
	cfg, clock := clocked(t.TempDir(), r.Addr())
	c := granted(t, cfg)
	// Until then the client may think that the clock's jump is time in which it waited.
	await(t, "it waits for its time", func() bool { return !c.Status().NextUpload.IsZero() })
	for week := range weeks {
		if week > 0 {
			clock.Add(7 * 24 * time.Hour)
		}
		for i := range n {
			c.Record(numbered(week*n + i))
		}
		if !flush {
			if _, err := c.Preview(); err != nil {
				t.Fatal(err)
			}
		} else if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return c, clock
}

// What was sent can be looked at, as it was sent.
func TestSentIsWhatWasSent(t *testing.T) {
	r := clienttest.Start(t)
	c, clock := weeks(t, r, 2, 250, true)
	sent, err := c.Sent()
	if err != nil {
		t.Fatal(err)
	}
	requests := r.Requests()
	if len(sent) != 4 || len(requests) != 4 {
		t.Fatalf("%d sent, %d arrived, want 4", len(sent), len(requests))
	}
	for i := range sent {
		wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(requests[i])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(wire, sent[i].Octets) {
			t.Errorf("request %d is not kept as it was sent", i)
		}
	}
	clock.Add(45 * 24 * time.Hour)
	c.Record(numbered(0))
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sent, err = c.Sent(); err != nil || len(sent) != 1 {
		t.Errorf("%d are kept after 45 days, %v, want the last one", len(sent), err)
	}
}

// Of what was sent the last 256 KiB are kept.
func TestSentIsCapped(t *testing.T) {
	r := clienttest.Start(t)
	dir := t.TempDir()
	c := granted(t, config(dir, r.Addr()))
	for i := range 100 {
		c.Record(numbered(i))
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sent, err := c.Sent()
	if err != nil || len(sent) != 64 { // each takes a block of 4 KiB
		t.Fatalf("%d batches are kept, %v, want 64", len(sent), err)
	}
	if last := sent[63].Message.Batch.Slices[0]; last.VersionMinor != 99 {
		t.Errorf("the last one is %v", last)
	}
}

// An export holds every event on the device once, and reads back.
func TestExport(t *testing.T) {
	r := clienttest.Start(t)
	c := granted(t, config(t.TempDir(), r.Addr()))
	event := &telemetryv1.Slice{Machine: "ultimaker_s5", LayerHeightUm: 200, InfillPattern: telemetryv1.InfillPattern_INFILL_PATTERN_GYROID,
		WallCount: proto.Uint32(0), ChangedSettings: []string{"infill_pattern", "layer_height"},
		Extruders: []*telemetryv1.Extruder{{MaterialType: "PLA"}, {MaterialType: "PVA"}}}
	c.Record(event)
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Record(event)
	c.Count(&telemetryv1.UsageCounters{SlicesStarted: 2})
	var lines, table bytes.Buffer
	if err := errors.Join(c.Export(&lines, client.JSONLines), c.Export(&table, client.CSV)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(lines.String()) {
		var e struct {
			State, Week, Kind string
			Event             json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		got = append(got, e.State+" "+e.Kind)
		back := &telemetryv1.Slice{}
		if e.Kind != "slice" {
			continue
		}
		if err := protojson.Unmarshal(e.Event, back); err != nil || !proto.Equal(back, event) {
			t.Errorf("%s reads back as %v, %v", e.Event, back, err)
		}
	}
	if s := strings.Join(got, ", "); s != "sent slice, filling slice, filling counters" {
		t.Errorf("exported %s", s)
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, %v, want a head and 3", len(rows), err)
	}
	values := map[string]string{}
	for i, column := range rows[0] {
		values[column] = rows[2][i]
	}
	for column, want := range map[string]string{"state": "filling", "machine": "ultimaker_s5", "extruders.2.material_type": "PVA",
		"wall_count": "0", "infill_pattern": "INFILL_PATTERN_GYROID", "changed_settings.2": "layer_height", "slices_started": ""} {
		if values[column] != want {
			t.Errorf("column %s is %q, want %q", column, values[column], want)
		}
	}
	if err := c.Export(&table, "xml"); err == nil {
		t.Error("an unknown format is taken")
	}
}

// Each token that is held is sent once, over a connection of its own, and
// nothing of those weeks is left.
func TestErase(t *testing.T) {
	r := clienttest.Start(t)
	c, _ := weeks(t, r, 3, 5, true)
	c.Record(numbered(99)) // still waits
	tokens := map[string]uint32{}
	for _, q := range r.Requests() {
		tokens[string(q.Batch.UnitToken)] = q.Batch.Period
	}
	connections := r.Accepted()
	r.Script(clienttest.Answer{Code: codes.Unavailable, RetryAfter: time.Minute})
	receipts, err := c.Erase(t.Context())
	var retry *client.RetryError
	if !errors.As(err, &retry) || retry.After != time.Minute || len(receipts) != 2 {
		t.Fatalf("Erase() = %v, %v, want 2 receipts and a RetryError", receipts, err)
	}
	r.Script(clienttest.Answer{Code: codes.Unavailable, RetryAfter: 365 * 24 * time.Hour})
	if _, err := c.Erase(t.Context()); !errors.As(err, &retry) || retry.After != 7*24*time.Hour {
		t.Errorf("told to come back in a year: %v, want a week", err)
	}
	again, err := c.Erase(t.Context())
	if err != nil || len(again) != 1 || again[0].Week != "2026-W45" || len(again[0].Receipt) == 0 || again[0].GoneBy.IsZero() {
		t.Fatalf("again: %v, %v, want the week that failed", again, err)
	}
	if n := r.Accepted() - connections; n != 5 {
		t.Errorf("%d connections for 5 requests", n)
	}
	for _, q := range r.Erased() {
		if tokens[string(q.UnitToken)] != q.Period {
			t.Errorf("%v is no token of ours", q)
		}
		delete(tokens, string(q.UnitToken))
	}
	if len(tokens) != 0 {
		t.Errorf("%d tokens were not sent", len(tokens))
	}
	if sent, _ := c.Sent(); len(sent) != 0 || c.Status().SpoolEvents != 0 {
		t.Errorf("%d batches and %d events are left", len(sent), c.Status().SpoolEvents)
	}
	if receipts, err := c.Erase(t.Context()); err != nil || len(receipts) != 0 {
		t.Errorf("a third time: %v, %v, want nothing to do", receipts, err)
	}
	// It goes on, as somebody else.
	c.Record(numbered(0))
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	requests := r.Requests()
	for _, q := range r.Erased() {
		if bytes.Equal(q.UnitToken, requests[len(requests)-1].Batch.UnitToken) {
			t.Error("an erased token is used again")
		}
	}
}

func TestPolicyOnRequest(t *testing.T) {
	r := clienttest.Start(t)
	c := open(t, config(t.TempDir(), r.Addr()))
	if r.Accepted() != 0 {
		t.Error("connected before anybody asked")
	}
	if p, err := c.Policy(t.Context()); err != nil || p.Operator == "" || p.PrivacyContact == "" || p.Current.GetVersion() != 1 {
		t.Errorf("Policy() = %v, %v", p, err)
	}
}
