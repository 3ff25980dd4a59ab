package sink

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/collector/internal/pseudonym"
	"github.com/slicemetry/slicemetry/collector/internal/scrub"
	"github.com/slicemetry/slicemetry/internal/period"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/localdb"
	"github.com/slicemetry/slicemetry/schema/localdb/dbtest"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/migrations/migrationtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// bench is a sink on a real database, with what it observed.
type bench struct {
	*Sink
	db    *localdb.Server
	rules scrub.Rules
	from  string // address of the batches

	mu       sync.Mutex
	outcomes []Outcome // guarded by mu
}

func start(t testing.TB, change func(*Config)) *bench {
	t.Helper()
	ring, err := pseudonym.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{db: migrationtest.Start(t), rules: scrub.Rules{Hasher: ring, Covers: func(policy uint32, _ period.Period) bool { return policy == 1 }, KeepOrigins: true, Now: time.Now}, from: "203.0.113.9"}
	cfg := Config{
		Database:  Database{Address: b.db.Addr(), User: migrations.Collector, Password: b.db.Password(migrations.Collector)},
		FlushRows: 1000, FlushAge: 10 * time.Millisecond, MaxPending: 100_000, GiveUp: 20 * time.Second, Inserters: 2,
		Observe: func(o Outcome) {
			b.mu.Lock()
			b.outcomes = append(b.outcomes, o)
			b.mu.Unlock()
		},
	}
	if change != nil {
		change(&cfg)
	}
	b.Sink = New(cfg)
	t.Cleanup(b.Close)
	return b
}

// rows scrubs a batch of n slices of this week.
func (b *bench) rows(t testing.TB, n int) *scrub.Rows {
	t.Helper()
	return b.rowsOf(t, period.Of(time.Now()), n)
}

// rowsOf scrubs a batch of n slices of a week.
func (b *bench) rowsOf(t testing.TB, week period.Period, n int) *scrub.Rows {
	t.Helper()
	batch := &telemetryv1.Batch{
		UnitToken: octets(), BatchId: octets(), Period: uint32(week), PolicyVersion: 1,
		Counters: &telemetryv1.UsageCounters{SlicesStarted: 7, SlicesFinished: 5, SlicesFailed: 1, SlicesCancelled: 1},
	}
	for range n {
		batch.Slices = append(batch.Slices, fullSlice())
	}
	rows, err := b.rules.Batch(batch, scrub.PrefixOf(netip.MustParseAddr(b.from)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &rows
}

func octets() []byte {
	b := make([]byte, 16)
	rand.Read(b)
	return b
}

// fullSlice has a different value wherever two columns could be mixed up.
func fullSlice() *telemetryv1.Slice {
	return &telemetryv1.Slice{
		Machine: "ultimaker_s5", MachineSettingsChanged: telemetryv1.Flag_FLAG_NO, ExtruderCount: 2,
		Extruders: []*telemetryv1.Extruder{
			{MaterialType: "PLA", MaterialBrand: "Ultimaker", UsedMg: 109, UsedMm: 11, NozzleUm: 400},
			{MaterialType: "PVA", MaterialBrand: "Generic", UsedMg: 130, UsedMm: 13, NozzleUm: 800},
		},
		LayerHeightUm: 160, WallCount: proto.Uint32(3), InfillDensityPercent: proto.Uint32(20),
		InfillPattern: telemetryv1.InfillPattern_INFILL_PATTERN_GYROID, Support: telemetryv1.Flag_FLAG_YES,
		Adhesion: telemetryv1.Adhesion_ADHESION_BRIM, PrimeTower: telemetryv1.Flag_FLAG_NO, Retraction: telemetryv1.Flag_FLAG_YES,
		PrintSequence:            telemetryv1.PrintSequence_PRINT_SEQUENCE_ONE_AT_A_TIME,
		NozzleTemperatureCelsius: 205, BedTemperatureCelsius: 60, SpeedMmPerS: 70, Intent: "strong", Quality: "draft",
		Mode: telemetryv1.Mode_MODE_CUSTOM, ChangedSettings: []string{"layer_height", "wall_thickness"}, ChangedSettingsCount: proto.Uint32(4),
		Application: "cura", VersionMajor: 5, VersionMinor: 9, OperatingSystem: telemetryv1.OperatingSystem_OPERATING_SYSTEM_LINUX,
		Language: "de", Output: telemetryv1.OutputKind_OUTPUT_KIND_USB, ModelCount: 4, PrintTimeS: 66, SlicingTimeMs: 109,
	}
}

func (b *bench) query(t testing.TB, query string) string {
	t.Helper()
	var out string
	if err := dbtest.Connect(t, b.db, localdb.Administrator).QueryRow(t.Context(), query).Scan(&out); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out
}

// Every column arrives where it belongs, in all three tables.
func TestColumns(t *testing.T) {
	b := start(t, nil)
	if err := b.Add(b.rows(t, 2)); err != nil {
		t.Fatal(err)
	}
	want := `{"idx":1,"machine":"ultimaker_s5","machine_settings_changed":"no","extruder_count":2,` +
		`"extruders.material_type":["PLA","PVA"],"extruders.material_brand":["Ultimaker","Generic"],"extruders.used_mg":[109,130],"extruders.used_mm":[11,13],"extruders.nozzle_um":[400,800],` +
		`"layer_height_um":160,"wall_count":3,"infill_density_percent":20,"infill_pattern":"gyroid","gradual_infill_steps":null,"support":"yes","adhesion":"brim","prime_tower":"no","retraction":"yes","print_sequence":"one_at_a_time",` +
		`"nozzle_temperature_celsius":205,"bed_temperature_celsius":60,"speed_mm_per_s":70,"intent":"strong","quality":"draft","mode":"custom","changed_settings":["layer_height","wall_thickness"],"changed_settings_count":4,` +
		`"application":"cura","version_major":5,"version_minor":9,"operating_system":"linux","language":"de","output":"usb","model_count":4,"print_time_s":66,"slicing_time_ms":109}`
	got := b.query(t, "SELECT formatRowNoNewline('JSONEachRow', * EXCEPT (period, unit, batch)) FROM raw.slices FINAL WHERE idx = 1")
	if got != want {
		t.Errorf("stored\n%s\nwant\n%s", got, want)
	}
	week := period.Of(time.Now()).Start().Format(time.DateOnly)
	for query, want := range map[string]string{
		"SELECT toString(groupUniqArray(period)) FROM raw.slices":                                                       "['" + week + "']",
		"SELECT concat(toString(count()), ' ', toString(uniqExact(unit, batch))) FROM raw.slices FINAL":                 "2 1",
		"SELECT toString((period, slices_started, slices_finished, slices_failed, slices_cancelled)) FROM raw.counters": "('" + week + "',7,5,1,1)",
		"SELECT toString(min((unit, batch) IN (SELECT unit, batch FROM raw.slices))) FROM raw.counters":                 "1",
	} {
		if got := b.query(t, query); got != want {
			t.Errorf("%s = %s, want %s", query, got, want)
		}
	}
}

// Many callers at once share inserts; each row is stored once; blocks respect
// the number of rows.
func TestConcurrentAdds(t *testing.T) {
	b := start(t, nil)
	const callers, batches, size = 20, 10, 25
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range batches {
				if err := b.Add(b.rows(t, size)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	want := fmt.Sprint(callers * batches * size)
	if got := b.query(t, "SELECT toString(count()) FROM raw.slices FINAL"); got != want {
		t.Errorf("%s rows, want %s", got, want)
	}
	if n := b.Pending(); n != 0 {
		t.Errorf("%d rows are still pending", n)
	}
	events := 0
	for _, o := range b.outcomes {
		events += o.Events
	}
	if fmt.Sprint(events) != want || len(b.outcomes) >= callers*batches {
		t.Errorf("%d events in %d inserts, want %s in fewer inserts than batches", events, len(b.outcomes), want)
	}
}

// A database that is killed and comes back costs time and nothing else.
func TestDatabaseIsKilled(t *testing.T) {
	b := start(t, nil)
	if err := b.Add(b.rows(t, 10)); err != nil {
		t.Fatal(err)
	}
	if err := b.db.Kill(); err != nil {
		t.Fatal(err)
	}
	added := make(chan error)
	rows := b.rows(t, 10)
	go func() { added <- b.Add(rows) }()
	if err := b.db.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-added; err != nil {
		t.Fatal(err)
	}
	if got := b.query(t, "SELECT toString(count()) FROM raw.slices FINAL"); got != "20" {
		t.Errorf("%s rows, want 20", got)
	}
}

// A database that hangs is given up on in time, and takes the repetition.
func TestDatabaseHangs(t *testing.T) {
	b := start(t, func(cfg *Config) { cfg.GiveUp = 2 * time.Second }) // long for an insert, on a busy machine too
	if err := b.Add(b.rows(t, 1)); err != nil {
		t.Fatal(err)
	}
	resume := b.pause(t)
	rows := b.rows(t, 10)
	if err := b.Add(rows); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Add() to a hung database = %v, want ErrUnavailable", err)
	}
	resume()
	// Version 26.7 of the engine ends when a client that it was greeting is gone,
	// as the sink is here, now or a moment after it stored the rows; a restart is
	// then a part of the outage.
	restart := func() {
		if err := errors.Join(b.db.Kill(), b.db.Restart(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(time.Minute); errors.Is(b.Add(rows), ErrUnavailable); {
		if time.Now().After(end) {
			t.Fatal("the database is back and takes nothing")
		}
		if b.db.Err() != nil {
			restart()
		}
	}
	restart()
	if got := b.query(t, "SELECT toString(count()) FROM raw.slices FINAL"); got != "11" {
		t.Errorf("%s rows, want 11, each once", got)
	}
}

// A block whose memory is used again holds nothing of what was in it.
func TestBlocksAreUsedAgain(t *testing.T) {
	b := start(t, nil)
	if err := dbtest.Connect(t, b.db, localdb.Administrator).Exec(t.Context(), "SYSTEM STOP MERGES"); err != nil {
		t.Fatal(err) // which would replace what is there twice
	}
	for range 5 {
		if err := b.Add(b.rows(t, 1)); err != nil {
			t.Fatal(err)
		}
	}
	b.Close()
	for query, want := range map[string]string{
		"SELECT toString(count()) FROM raw.slices":          "5",
		"SELECT toString(count()) FROM raw.counters":        "5",
		"SELECT toString(uniqExact(batch)) FROM raw.slices": "5",
	} {
		if got := b.query(t, query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

// All blocks of one moment are given up at one moment, those too for which no inserter
// had time: their callers' deadlines are the same. Their memory is not kept.
func TestAllAreGivenUpInTime(t *testing.T) {
	const giveUp = 2 * time.Second
	b := start(t, func(cfg *Config) { cfg.GiveUp, cfg.Inserters = giveUp, 1 })
	if err := b.Add(b.rows(t, 1)); err != nil {
		t.Fatal(err)
	}
	resume := b.pause(t)
	began := time.Now()
	var commits []*Commit
	for weeks := range 4 {
		commit, err := b.Append(b.rowsOf(t, period.Of(began.AddDate(0, 0, -7*weeks)), 1))
		if err != nil {
			t.Fatal(err)
		}
		commits = append(commits, commit)
	}
	for _, commit := range commits {
		if err := commit.Wait(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("a block of a database that hangs: %v, want ErrUnavailable", err)
		}
	}
	if took := time.Since(began); took > 2*giveUp {
		t.Errorf("the last of 4 blocks is given up after %s, want %s", took, giveUp)
	}
	b.Sink.mu.Lock()
	if kept := len(b.spare); kept != 1 {
		t.Errorf("the memory of %d blocks is kept, want an inserter's", kept)
	}
	b.Sink.mu.Unlock()
	resume()
}

// What somebody has to mend is reported at once, with ClickHouse's number, and
// works again when it is mended.
func TestPermanentErrors(t *testing.T) {
	b := start(t, nil)
	admin := dbtest.Connect(t, b.db, localdb.Administrator)
	if err := admin.Exec(t.Context(), "RENAME TABLE raw.slices TO raw.away"); err != nil {
		t.Fatal(err)
	}
	rows := b.rows(t, 1)
	err := b.Add(rows)
	if !errors.Is(err, ErrUnavailable) || Code(err) != 60 {
		t.Errorf("without the table: %v, code %d, want ErrUnavailable and 60", err, Code(err))
	}
	b.mu.Lock()
	if last := b.outcomes[len(b.outcomes)-1]; last.Attempts != 1 {
		t.Errorf("%d attempts, want 1", last.Attempts)
	}
	b.mu.Unlock()
	if err := admin.Exec(t.Context(), "RENAME TABLE raw.away TO raw.slices"); err != nil {
		t.Fatal(err)
	}
	if err := b.Add(rows); err != nil {
		t.Errorf("with the table again: %v", err)
	}
}

func TestOverload(t *testing.T) {
	b := start(t, func(cfg *Config) { cfg.MaxPending = 100 })
	if err := b.Add(b.rows(t, 1)); err != nil {
		t.Fatal(err)
	}
	resume := b.pause(t)
	first := make(chan error)
	rows := b.rows(t, 60)
	go func() { first <- b.Add(rows) }()
	for b.Pending() == 0 {
	}
	if err := b.Add(b.rows(t, 60)); !errors.Is(err, ErrOverloaded) {
		t.Errorf("Add() = %v, want ErrOverloaded", err)
	}
	for range 40 { // batches without a slice take room too
		if _, err := b.Append(b.rows(t, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Append(b.rows(t, 0)); !errors.Is(err, ErrOverloaded) {
		t.Errorf("Append() = %v, want ErrOverloaded", err)
	}
	closed := make(chan struct{})
	go func() { b.Close(); close(closed) }()
	resume()
	if err := <-first; err != nil {
		t.Errorf("what was accepted: %v, want it stored by Close", err)
	}
	<-closed
	if err := b.Add(b.rows(t, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Add() after Close = %v, want ErrClosed", err)
	}
}

// pause stops the database until resume is called, or the test ends.
func (b *bench) pause(t *testing.T) (resume func()) {
	t.Helper()
	pid := b.db.Pid()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resume = sync.OnceFunc(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	t.Cleanup(resume)
	return resume
}

// How long batches wait for company follows what an insert takes: an idle
// database makes nobody wait for FlushAge, a slow one is left alone for longer.
func TestWaitFollowsTheDatabase(t *testing.T) {
	b := start(t, func(cfg *Config) { cfg.FlushAge = time.Hour })
	for range 5 {
		if err := b.Add(b.rows(t, 1)); err != nil {
			t.Fatal(err)
		}
	}
	rest := func() time.Duration {
		b.Sink.mu.Lock()
		defer b.Sink.mu.Unlock()
		return b.rest(b.last[period.Of(time.Now())])
	}
	quick := rest()
	resume := b.pause(t)
	added := make(chan error)
	rows := b.rows(t, 1)
	go func() { added <- b.Add(rows) }()
	time.Sleep(2*quick + 100*time.Millisecond)
	resume()
	if err := <-added; err != nil {
		t.Fatal(err)
	}
	if slow := rest(); slow <= quick {
		t.Errorf("the next insert waits %s after a slow one and %s after a quick one", slow, quick)
	}
}

// What a client waits at most, for the insert to begin and to end, grows little beyond
// FlushAge, until the database is too slow for that.
func TestRest(t *testing.T) {
	s := &Sink{cfg: Config{FlushAge: 200 * time.Millisecond}}
	for _, tt := range []struct{ took, want time.Duration }{
		{0, 200}, {10, 30}, {60, 180}, {62, 186}, {75, 175}, {150, 100}, {151, 200}, {5000, 200},
	} {
		if got := s.rest(insertion{took: tt.took * time.Millisecond}); got != tt.want*time.Millisecond {
			t.Errorf("after an insert of %d ms the next is due after %s, want %d ms", tt.took, got, tt.want)
		}
	}
}

// Rows that were accepted are stored, whether or not anybody waits for it.
func TestNobodyWaits(t *testing.T) {
	b := start(t, nil)
	if _, err := b.Append(b.rows(t, 3)); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if got := b.query(t, "SELECT toString(count()) FROM raw.slices FINAL"); got != "3" {
		t.Errorf("%s rows, want 3", got)
	}
}

// No error that the sink returns holds a value of a row.
func TestErrorsHoldNoValues(t *testing.T) {
	b := start(t, nil)
	if err := dbtest.Connect(t, b.db, localdb.Administrator).Exec(t.Context(), "ALTER TABLE raw.slices MODIFY COLUMN machine UInt8"); err != nil {
		t.Fatal(err)
	}
	err := b.Add(b.rows(t, 1))
	if err == nil || strings.Contains(err.Error(), "ultimaker_s5") || Code(err) == 0 {
		t.Errorf("Add() = %v, want an error with ClickHouse's number and without a machine's name", err)
	}
}

func TestErrorTable(t *testing.T) {
	for code, want := range map[int]bool{252: true, 241: true, 243: true, 242: true, 159: true, 60: false, 497: false, 516: false, 6: false, 53: false} {
		err := fmt.Errorf("%w: %w", ErrUnavailable, &DatabaseError{Code: code})
		if got := transient(err); got != want {
			t.Errorf("error %d is transient: %t, want %t", code, got, want)
		}
	}
	if !transient(syscall.ECONNREFUSED) {
		t.Error("a refused connection is transient")
	}
}

func BenchmarkAppend(b *testing.B) {
	s := start(b, nil)
	rows := s.rows(b, 10)
	block := newBlock()
	block.reset(rows.Period(), time.Now(), "")
	b.ReportAllocs()
	for b.Loop() {
		if block.events > 50_000 {
			block.reset(rows.Period(), time.Now(), "")
		}
		block.add(rows)
	}
}
