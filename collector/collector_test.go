package collector_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/collector"
	"github.com/slicemetry/slicemetry/internal/period"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	"github.com/slicemetry/slicemetry/proto/collector/v1/collectorgrpc"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// running is a collector on a real database.
type running struct {
	*collector.Server
	db    *localdb.Server
	log   *lockedBuffer
	ended chan error // what Run returned, then nil
	stop  func()     // drains and waits
}

func start(t *testing.T, change func(*collector.Config)) *running {
	t.Helper()
	db := migrationtest.Start(t)
	r := &running{db: db, log: &lockedBuffer{}}
	cfg := collector.DefaultConfig()
	cfg.Listen, cfg.Admin = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Database = collector.Database{Address: db.Addr(), User: migrations.Collector, Password: db.Password(migrations.Collector)}
	cfg.KeyDir, cfg.Plaintext, cfg.Policy = t.TempDir(), true, policies(t, "2020-01-01", "")
	cfg.FlushAge, cfg.RetryAfter = 20*time.Millisecond, time.Second
	cfg.Logger = slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if change != nil {
		change(&cfg)
	}
	var err error
	if r.Server, err = collector.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.ended = make(chan error, 1)
	go func() { r.ended <- r.Run(ctx); close(r.ended) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	for !strings.Contains(r.log.String(), `"serving"`) { // from here on only calls and errors are logged
		select {
		case err := <-r.ended:
			t.Fatal("it ended: ", err)
		case <-time.After(time.Millisecond):
		}
	}
	return r
}

func (r *running) client(t *testing.T, options ...grpc.DialOption) collectorgrpc.CollectorClient {
	t.Helper()
	conn, err := grpc.NewClient(r.Addr(), append(options, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry(), grpc.WithNoProxy())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return collectorgrpc.NewCollectorClient(conn)
}

// metric returns the line of a series without its name, "" where there is none.
func (r *running) metric(t *testing.T, series string) string {
	t.Helper()
	for line := range strings.Lines(r.get(t, "/metrics")) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), series+" "); found {
			return value
		}
	}
	return ""
}

// stuck stops the database and returns when a batch of n slices waits for it. What it
// returns lets the database go on, and tells what became of the batch.
func (r *running) stuck(t *testing.T, client collectorgrpc.CollectorClient, n int) (resume func() error) {
	t.Helper()
	if err := syscall.Kill(r.db.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	proceed := sync.OnceFunc(func() { _ = syscall.Kill(r.db.Pid(), syscall.SIGCONT) })
	t.Cleanup(proceed)
	waiting := make(chan error, 1)
	go func() {
		_, err := client.Upload(context.Background(), request(n))
		waiting <- err
	}()
	r.reaches(t, "slicemetry_rows_pending", strconv.Itoa(n))
	return func() error {
		proceed()
		return <-waiting
	}
}

// reaches waits until a metric has a value.
func (r *running) reaches(t *testing.T, series, value string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); r.metric(t, series) != value; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s is %s, want %s", series, r.metric(t, series), value)
		}
	}
}

func (r *running) get(t *testing.T, path string) string {
	t.Helper()
	response, err := http.Get("http://" + r.AdminAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func (r *running) rows(t *testing.T) uint64 {
	t.Helper()
	var n uint64
	if err := dbtest.Connect(t, r.db, localdb.Administrator).QueryRow(t.Context(), "SELECT count() FROM raw.slices FINAL").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func octets() []byte {
	b := make([]byte, 16)
	rand.Read(b)
	return b
}

func request(n int) *collectorv1.UploadRequest {
	b := &telemetryv1.Batch{UnitToken: octets(), BatchId: octets(), Period: uint32(period.Of(time.Now())), PolicyVersion: 1}
	for range n {
		b.Slices = append(b.Slices, &telemetryv1.Slice{Machine: "ultimaker_s5", LayerHeightUm: 200, Application: "cura"})
	}
	return &collectorv1.UploadRequest{Batch: b}
}

func TestAcknowledgedIsStoredOnce(t *testing.T) {
	r := start(t, nil)
	client := r.client(t)
	var requests []*collectorv1.UploadRequest
	var wg sync.WaitGroup
	for range 20 {
		q := request(5)
		requests = append(requests, q)
		for range 3 { // each batch three times, at once
			wg.Go(func() {
				if _, err := client.Upload(context.Background(), q); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if n := r.rows(t); n != 100 {
		t.Errorf("%d rows, want 100, each once", n)
	}
	reply, err := client.Upload(t.Context(), requests[0])
	if err != nil || reply.PolicyVersion != 1 {
		t.Errorf("reply %v, %v, want policy version 1", reply, err)
	}
}

func TestHostileBatchesAreRefused(t *testing.T) {
	r := start(t, nil)
	client := r.client(t)
	change := func(f func(*telemetryv1.Batch)) *collectorv1.UploadRequest {
		q := request(1)
		f(q.Batch)
		return q
	}
	tests := []struct {
		name    string
		request *collectorv1.UploadRequest
		code    codes.Code
		reason  string
	}{
		{"no batch", &collectorv1.UploadRequest{}, codes.InvalidArgument, "malformed"},
		{"short token", change(func(b *telemetryv1.Batch) { b.UnitToken = []byte("x") }), codes.InvalidArgument, "malformed"},
		{"empty", change(func(b *telemetryv1.Batch) { b.Slices = nil }), codes.InvalidArgument, "empty"},
		{"too many", request(201), codes.InvalidArgument, "too_many_slices"},
		{"no week", change(func(b *telemetryv1.Batch) { b.Period++ }), codes.InvalidArgument, "bad_period"},
		{"far future", change(func(b *telemetryv1.Batch) { b.Period += 70 }), codes.FailedPrecondition, "period_future"},
		{"long ago", change(func(b *telemetryv1.Batch) { b.Period -= 70 }), codes.FailedPrecondition, "period_closed"},
		{"unknown policy", change(func(b *telemetryv1.Batch) { b.PolicyVersion = 9 }), codes.FailedPrecondition, "policy_not_in_force"},
	}
	for _, tt := range tests {
		_, err := client.Upload(t.Context(), tt.request)
		if status.Code(err) != tt.code {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.code)
		}
		if tt.request.GetBatch().GetSlices() != nil && r.metric(t, `slicemetry_events_rejected_total{reason="`+tt.reason+`"}`) == "0" {
			t.Errorf("%s: the reason %s is not counted", tt.name, tt.reason)
		}
	}
	if n := r.rows(t); n != 0 {
		t.Errorf("%d rows are stored", n)
	}
	r.balanced(t)
}

// quiet waits until no call is under way and no row waits.
func (r *running) quiet(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		calls, rows := r.metric(t, "slicemetry_calls"), r.metric(t, "slicemetry_rows_pending")
		if calls == "0" && rows == "0" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s calls are under way, and %s rows wait", calls, rows)
		}
	}
}

// balanced checks the accounting identity to the event.
func (r *running) balanced(t *testing.T) {
	t.Helper()
	r.quiet(t)
	total := func(name string) (sum float64) {
		for line := range strings.Lines(r.get(t, "/metrics")) {
			fields := strings.Fields(line)
			if len(fields) == 2 && (fields[0] == name || strings.HasPrefix(fields[0], name+"{")) {
				var v float64
				if err := parse(fields[1], &v); err != nil {
					t.Fatal(err)
				}
				sum += v
			}
		}
		return sum
	}
	received := total("slicemetry_events_received_total")
	others := total("slicemetry_events_stored_total") + total("slicemetry_events_rejected_total") + total("slicemetry_events_shed_total") + total("slicemetry_events_failed_total")
	if received != others || received == 0 {
		t.Errorf("received %g events, accounted for %g", received, others)
	}
}

// Without its database the collector says so, keeps nothing and loses nothing.
func TestDatabaseAway(t *testing.T) {
	t.Parallel() // it waits most of the time
	r := start(t, nil)
	client := r.client(t)
	if err := r.db.Kill(); err != nil {
		t.Fatal(err)
	}
	if body := r.get(t, "/readyz"); strings.Contains(body, "ready\n") {
		t.Errorf("ready without a database: %s", body)
	}
	q := request(7)
	_, err := client.Upload(t.Context(), q)
	if status.Code(err) != codes.Unavailable || retryDelay(err) < 500*time.Millisecond || retryDelay(err) > 1500*time.Millisecond {
		t.Errorf("%v, retry after %s, want Unavailable and about a second", err, retryDelay(err))
	}
	r.balanced(t)
	if err := r.db.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Upload(t.Context(), q); err != nil {
		t.Errorf("with the database back: %v", err)
	}
	if n := r.rows(t); n != 7 {
		t.Errorf("%d rows, want 7", n)
	}
	if !strings.Contains(r.log.String(), "storing fails") || !strings.Contains(r.log.String(), "storing works") {
		t.Errorf("the log does not tell of the outage: %s", r.log)
	}
}

func retryDelay(err error) time.Duration {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return info.RetryDelay.AsDuration()
		}
	}
	return 0
}

func TestLimit(t *testing.T) {
	r := start(t, func(cfg *collector.Config) { cfg.LimitRate, cfg.LimitBurst = 0.001, 2 })
	client := r.client(t)
	for i := range 3 {
		_, err := client.Upload(t.Context(), request(1))
		if want := i == 2; (status.Code(err) == codes.ResourceExhausted) != want || want && retryDelay(err) == 0 {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
	r.balanced(t)
}

// What was accepted is stored before the collector ends, and calls after the
// signal are refused in a way that keeps the batch with the client.
func TestDrainLosesNothing(t *testing.T) {
	r := start(t, func(cfg *collector.Config) { cfg.FlushAge = 300 * time.Millisecond; cfg.MaxStreams = 100 })
	client := r.client(t)
	resume := r.stuck(t, client, 2) // so that calls are under way when the signal comes
	var wg sync.WaitGroup
	var mu sync.Mutex
	acknowledged := uint64(0)
	first := make(chan struct{}, 50)
	for range 50 {
		wg.Go(func() {
			first <- struct{}{}
			_, err := client.Upload(context.Background(), request(2))
			if err == nil {
				mu.Lock()
				acknowledged += 2
				mu.Unlock()
			} else if status.Code(err) != codes.Unavailable {
				t.Errorf("%v, want Unavailable", err)
			}
		})
	}
	for range 50 {
		<-first
	}
	var stopping sync.WaitGroup
	stopping.Go(r.stop)
	r.closes(t)
	if err := resume(); err != nil {
		t.Errorf("the call that was under way before the signal: %v", err)
	}
	stopping.Wait()
	wg.Wait()
	if n := r.rows(t); n != 2+acknowledged {
		t.Errorf("%d acknowledged, %d stored", 2+acknowledged, n)
	}
}

// closes waits until nobody listens at the public address any more.
func (r *running) closes(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", r.Addr())
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Error("the public address is still open")
}

// Whatever a client plants, and wherever, it is in no log, metric, status or row.
func TestMarkersSurviveNowhere(t *testing.T) {
	t.Parallel() // it waits most of the time
	const marker = "mArk3r-a8f2"
	r := start(t, nil)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", marker, "traceparent", marker, "x-"+strings.ToLower(marker), marker, "custom-bin", marker)
	client := r.client(t, grpc.WithUserAgent(marker))
	q := request(1)
	s := q.Batch.Slices[0]
	s.Machine, s.Application, s.Language, s.Intent, s.Quality = marker, marker, marker, marker, marker
	s.ChangedSettings = []string{marker}
	s.Extruders = []*telemetryv1.Extruder{{MaterialType: marker, MaterialBrand: marker}}
	s.ProtoReflect().SetUnknown(unknown(marker))
	q.Batch.ProtoReflect().SetUnknown(unknown(marker))
	q.Batch.UnitToken = []byte((marker + "0123456789abcdef")[:16])
	if _, err := client.Upload(ctx, q); err != nil {
		t.Fatal(err)
	}
	malformed := proto.Clone(q).(*collectorv1.UploadRequest)
	malformed.Batch.BatchId = []byte(marker)
	_, err := client.Upload(ctx, malformed)
	if err == nil || strings.Contains(err.Error(), marker) {
		t.Errorf("%v, want an error without the marker", err)
	}
	r.stopDatabaseOnce(t, client, ctx, q)
	for name, text := range map[string]string{"metrics": r.get(t, "/metrics"), "log": r.log.String(), "rows": r.dump(t)} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(marker)) {
			t.Errorf("the marker is in the %s", name)
		}
	}
}

// stopDatabaseOnce makes the collector log a failure with the batch in hand.
func (r *running) stopDatabaseOnce(t *testing.T, client collectorgrpc.CollectorClient, ctx context.Context, q *collectorv1.UploadRequest) {
	t.Helper()
	if err := r.db.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Upload(ctx, q); err == nil {
		t.Error("stored without a database")
	}
	if err := r.db.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (r *running) dump(t *testing.T) string {
	t.Helper()
	var rows string
	err := dbtest.Connect(t, r.db, localdb.Administrator).QueryRow(t.Context(),
		"SELECT arrayStringConcat(groupArray(formatRowNoNewline('JSONEachRow', *)), '\n') FROM raw.slices").Scan(&rows)
	if err != nil || rows == "" {
		t.Fatalf("no rows to look at: %v", err)
	}
	return rows
}

func unknown(text string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, 1023, protowire.BytesType), text)
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// When as many uploads are under way as may be, one more is sent away before its
// body is read, and told when to come back.
func TestTurnedAwayUnread(t *testing.T) {
	r := start(t, func(cfg *collector.Config) { cfg.MaxCalls = 1 })
	client := r.client(t)
	if _, err := client.Upload(t.Context(), request(1)); err != nil {
		t.Fatal(err)
	}
	resume := r.stuck(t, client, 1)
	_, err := client.Upload(t.Context(), request(1))
	if status.Code(err) != codes.ResourceExhausted || retryDelay(err) == 0 {
		t.Errorf("got %v, want ResourceExhausted with a time to come back", err)
	}
	if err := resume(); err != nil {
		t.Errorf("the call under way: %v", err)
	}
	if n := r.metric(t, `slicemetry_calls_refused_total{reason="overloaded"}`); n != "1" {
		t.Errorf("%s calls turned away, want 1", n)
	}
	if _, err := client.Upload(t.Context(), request(1)); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
