package fault

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/credentials/insecure"

	"github.com/slicemetry/slicemetry/bench/binary"
	"github.com/slicemetry/slicemetry/bench/load"
	"github.com/slicemetry/slicemetry/bench/stack"
	"github.com/slicemetry/slicemetry/schema/localdb"
)

func TestMain(m *testing.M) {
	localdb.RunEngineIfChild()
	binary.Main(m, "../../collector/cmd/collectord")
}

const (
	sceneTime = time.Minute      // a fault and all its consequences
	resume    = 10 * time.Second // acknowledgements come again so soon after a fault
	settle    = 15 * time.Second // a call that nobody waits for is booked by then
)

// cycles is how often a repeated fault strikes: a few times in the smoke version.
func cycles(t *testing.T, smoke int) int {
	text := os.Getenv("SLICEMETRY_FAULT_CYCLES")
	if text == "" {
		return smoke
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("SLICEMETRY_FAULT_CYCLES=%q is no number", text)
	}
	return max(n, smoke)
}

// scene is a stack with a proxy on each side of the collector.
type scene struct {
	*stack.Stack
	front *Proxy // clients come through it
	back  *Proxy // the collector reaches ClickHouse through it
	sent  int64  // events acknowledged so far

	mu       sync.Mutex
	targets  []string // of front, in turn; guarded by mu, as is all below
	next     int
	database string                  // where ClickHouse is
	straight bool                    // the collector reaches it without the proxy, which listens always
	rewrite  func(dsn string) string // of what the collector is given; nil: nothing
}

// begin starts a scene in a folder.
func begin(t *testing.T, dir string) *scene {
	t.Helper()
	s := &scene{}
	var err error
	if s.back, err = NewProxy(s.databaseAddr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.back.Close)
	s.Stack, err = stack.Start(t.Context(), stack.Config{
		Dir: dir, Collector: filepath.Join(binary.Dir, "collectord"), Plaintext: true, Database: s.through,
		Flags: []string{"-limit-rate", "0", "-retry-after", "100ms", "-flush-age", "20ms", "-max-streams", "64"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	s.targets = []string{s.Target()}
	if s.front, err = NewProxy(s.target); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.front.Close)
	return s
}

// through leads the collector to the proxy instead of to ClickHouse.
func (s *scene) through(dsn string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rewrite != nil {
		dsn = s.rewrite(dsn)
	}
	if s.straight {
		return dsn
	}
	head, tail, _ := strings.Cut(dsn, "@")
	address, query, _ := strings.Cut(tail, "?")
	if s.database == "" {
		s.database = address // the same after every restart
	}
	return head + "@" + s.back.Addr() + "?" + query
}

func (s *scene) databaseAddr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.database
}

func (s *scene) target() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	return s.targets[s.next%len(s.targets)]
}

func (s *scene) setTargets(targets ...string) {
	s.mu.Lock()
	s.targets = targets
	s.mu.Unlock()
	s.front.Reset()
}

// strike sends events at a rate while faults happen, and returns when all are
// acknowledged; then it checks that they are there.
func (s *scene) strike(t *testing.T, fault func(ctx context.Context)) {
	t.Helper()
	var loading sync.WaitGroup
	defer loading.Wait() // also where a fault could not be made, after cancel
	ctx, cancel := context.WithTimeout(t.Context(), sceneTime+time.Duration(cycles(t, 0))*3*time.Second)
	defer cancel()
	stopLoad := make(chan struct{})
	var acked, attempts int64
	refused := map[string]int64{}
	loading.Go(func() {
		for round := uint64(0); ; round++ { // in rounds of a fraction of a second until the fault is over
			r, err := load.Run(ctx, load.Config{
				Target: s.front.Addr(), Credentials: insecure.NewCredentials(), Installations: 50, Connections: 4, InFlight: 32, Batch: 10,
				Events: 1500, Rate: 5000, Seed: round,
			})
			acked, attempts = acked+r.Acked, attempts+r.Attempts
			for code, n := range r.Refused {
				refused[code] += n
			}
			if err != nil {
				t.Errorf("not all is acknowledged: %v", err)
				return
			}
			select {
			case <-stopLoad:
				return
			default:
			}
		}
	})
	fault(ctx)
	ended := time.Now()
	close(stopLoad)
	loading.Wait()
	if took := time.Since(ended); took > resume {
		t.Errorf("acknowledgements took %s to resume, want at most %s", took, resume)
	}
	s.sent += acked
	t.Logf("%d events acknowledged in %d attempts, refused %v; all of them %s after the fault", acked, attempts, refused, time.Since(ended).Round(time.Millisecond))
	for code := range refused {
		switch code {
		case "Unavailable", "ResourceExhausted", "DeadlineExceeded", "Canceled":
		default:
			t.Errorf("a client was told %s", code)
		}
	}
	s.verify(t)
}

// verify compares what was acknowledged with what a reader sees, and looks at the books.
func (s *scene) verify(t *testing.T) {
	t.Helper()
	read, _, err := s.Stored(t.Context())
	must(t, err)
	if int64(read) != s.sent {
		t.Errorf("%d events acknowledged, %d read", s.sent, read)
	}
	s.balanced(t, s.Admin())
}

// balanced waits for a collector's books to balance: a call that its client gave
// up is booked when its block ends.
func (s *scene) balanced(t *testing.T, admin string) {
	t.Helper()
	var books stack.Accounting
	for end := time.Now().Add(settle); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		m, err := stack.ReadMetrics(t.Context(), admin)
		if err != nil {
			t.Fatal(err)
		}
		if books = m.Accounting(); books.Balanced() {
			return
		}
	}
	t.Errorf("the books do not balance: %+v", books)
}

// must ends the test where a fault cannot be made.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// exec runs a statement as the administrator. It tries again where the engine
// ended meanwhile, which it does by itself when a greeting fails (localdb).
func (s *scene) exec(t *testing.T, statement string) {
	t.Helper()
	conn, err := s.Connect(localdb.Administrator)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for end := time.Now().Add(resume); ; time.Sleep(100 * time.Millisecond) {
		if err = conn.Exec(t.Context(), statement); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}
