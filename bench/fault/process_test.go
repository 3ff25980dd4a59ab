package fault

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/slicemetry/slicemetry/bench/binary"
	"github.com/slicemetry/slicemetry/bench/load"
	"github.com/slicemetry/slicemetry/bench/stack"
	"github.com/slicemetry/slicemetry/internal/period"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	"github.com/slicemetry/slicemetry/proto/collector/v1/collectorgrpc"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// Every way in which a process or a connection ends, one after another on one
// stack, so that each finds what the others left.
func TestFaults(t *testing.T) {
	s := begin(t, t.TempDir())
	random := rand.New(rand.NewPCG(1, 2))
	pause := func(ctx context.Context, least, most int) {
		load.Sleep(ctx, time.Duration(least+random.IntN(most-least))*time.Millisecond)
	}
	// F01
	t.Run("collector killed", func(t *testing.T) {
		s.strike(t, func(ctx context.Context) {
			for range cycles(t, 6) {
				pause(ctx, 50, 400)
				s.KillCollector()
				must(t, s.StartCollector(ctx))
			}
		})
	})
	// F13
	t.Run("database killed", func(t *testing.T) {
		s.strike(t, func(ctx context.Context) {
			for range cycles(t, 4) {
				pause(ctx, 50, 400)
				must(t, s.CrashDB(ctx, func() {}))
			}
		})
	})
	t.Run("database restarted", func(t *testing.T) {
		s.strike(t, func(ctx context.Context) {
			pause(ctx, 100, 300)
			must(t, s.DB.Stop(ctx))
			must(t, s.DB.Restart(ctx))
		})
	})
	// F15: longer than the collector waits for an insert, so that the block is given
	// up and sent again while the first attempt still lies with ClickHouse.
	t.Run("database paused", func(t *testing.T) {
		s.strike(t, func(ctx context.Context) {
			for _, d := range []time.Duration{300 * time.Millisecond, 9 * time.Second} {
				pause(ctx, 100, 300)
				pid := s.DB.Pid()
				must(t, syscall.Kill(pid, syscall.SIGSTOP))
				load.Sleep(ctx, d)
				must(t, syscall.Kill(pid, syscall.SIGCONT))
			}
		})
	})
	// F28: it drains while nothing can be stored.
	t.Run("collector drains, database paused", func(t *testing.T) {
		s.strike(t, func(ctx context.Context) {
			pause(ctx, 100, 300)
			pid := s.DB.Pid()
			must(t, syscall.Kill(pid, syscall.SIGSTOP))
			pause(ctx, 100, 300)
			s.StopCollector()
			must(t, syscall.Kill(pid, syscall.SIGCONT))
			must(t, s.StartCollector(ctx))
		})
	})
	// F16, F17, F26: cut after any octet, of requests and of replies, on both sides.
	for side, proxy := range map[string]*Proxy{"clients": s.front, "database": s.back} {
		t.Run("connections cut, "+side, func(t *testing.T) {
			s.strike(t, func(ctx context.Context) {
				for _, rule := range []func() Rule{
					func() Rule { return Rule{CutRequest: 1 + random.IntN(40_000)} },
					func() Rule { return Rule{CutReply: 1 + random.IntN(3000)} },
					func() Rule { return Rule{CutReply: 1 + random.IntN(300)} },
				} {
					proxy.Use(rule)
					load.Sleep(ctx, 1200*time.Millisecond)
				}
				proxy.Use(nil)
			})
		})
		// F20
		t.Run("slow and silent, "+side, func(t *testing.T) {
			s.strike(t, func(ctx context.Context) {
				proxy.Use(func() Rule { return Rule{Rate: 20_000} })
				load.Sleep(ctx, 1500*time.Millisecond)
				proxy.Use(func() Rule { return Rule{Hole: true} })
				load.Sleep(ctx, 1500*time.Millisecond)
				proxy.Use(nil)
			})
		})
	}
	// F19
	t.Run("table missing", func(t *testing.T) {
		s.strike(t, func(ctx context.Context) {
			s.exec(t, "RENAME TABLE raw.slices TO raw.slices_away")
			s.refused(t)
			s.says(t, "ClickHouse error 60 ") // UNKNOWN_TABLE
			s.exec(t, "RENAME TABLE raw.slices_away TO raw.slices")
		})
	})
	t.Run("too many parts", func(t *testing.T) {
		s.strike(t, func(ctx context.Context) {
			s.exec(t, "ALTER TABLE raw.slices MODIFY SETTING parts_to_delay_insert = 1, parts_to_throw_insert = 1")
			s.refused(t)
			s.says(t, "ClickHouse error 252 ") // TOO_MANY_PARTS
			s.exec(t, "ALTER TABLE raw.slices RESET SETTING parts_to_delay_insert, parts_to_throw_insert")
		})
	})
	t.Run("wrong password", func(t *testing.T) {
		s.StopCollector()
		s.rewriteDSN(func(string) string { return "clickhouse://collector:wrong@127.0.0.1:1?dial_timeout=1s" })
		started := make(chan error, 1)
		go func() { started <- s.StartCollector(context.WithoutCancel(t.Context())) }()
		must(t, stack.WaitListening(t.Context(), s.Target()))
		s.says(t, "ClickHouse error 516 ") // AUTHENTICATION_FAILED; asked first: the engine ends of it every time
		s.refused(t)
		if stack.Ready(t.Context(), s.Admin()) {
			t.Error("ready with a wrong password")
		}
		s.rewriteDSN(nil)
		s.StopCollector()
		<-started // it never became ready
		must(t, s.StartCollector(t.Context()))
		s.strike(t, func(context.Context) {})
	})
	// F24
	t.Run("database away at start", func(t *testing.T) {
		s.StopCollector()
		s.goStraight(true)
		must(t, s.DB.Kill())
		started := make(chan error, 1)
		go func() { started <- s.StartCollector(context.WithoutCancel(t.Context())) }()
		must(t, stack.WaitListening(t.Context(), s.Target()))
		s.refused(t)
		s.says(t, "connection refused")
		if stack.Ready(t.Context(), s.Admin()) {
			t.Error("ready without a database")
		}
		must(t, s.DB.Restart(t.Context()))
		must(t, <-started)
		s.strike(t, func(context.Context) {})
		s.StopCollector()
		s.goStraight(false)
		must(t, s.StartCollector(t.Context()))
	})
	// F28
	t.Run("rolling restart of two", func(t *testing.T) { s.rolling(t) })
	// F25
	t.Run("each batch several times", func(t *testing.T) { s.duplicates(t) })
}

func (s *scene) rewriteDSN(f func(string) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rewrite = f
}

func (s *scene) goStraight(straight bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.straight = straight
}

// refused sends a batch that cannot be stored and checks the answer.
func (s *scene) refused(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second) // a client's deadline
	defer cancel()
	_, err := s.client(t).Upload(ctx, batch(1, 1))
	told := false
	for _, d := range status.Convert(err).Details() {
		_, ok := d.(*errdetails.RetryInfo)
		told = told || ok
	}
	if status.Code(err) != codes.Unavailable || !told {
		t.Errorf("%v, told when to come again: %t, want Unavailable and true", err, told)
	}
}

// says waits until the collector tells the operator why it does not store: by its
// readiness, or in its log's last line, where only an insert shows it. Clients are told
// the same whatever the reason is.
func (s *scene) says(t *testing.T, reason string) {
	t.Helper()
	var ready, last string
	for end := time.Now().Add(sceneTime); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		ready = stack.Readiness(t.Context(), s.Admin())
		log, err := os.ReadFile(s.LogFile())
		must(t, err)
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		last = lines[len(lines)-1]
		if strings.Contains(ready, reason) || strings.Contains(last, reason) {
			return
		}
	}
	t.Errorf("the reason should be %q; ready: %s; logged: %s", reason, ready, last)
}

func (s *scene) client(t *testing.T) collectorgrpc.CollectorClient {
	t.Helper()
	conn, err := grpc.NewClient(s.front.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(), grpc.WithDisableRetry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return collectorgrpc.NewCollectorClient(conn)
}

// batch is a batch whose identity follows from a number.
func batch(number uint64, events int) *collectorv1.UploadRequest {
	id := func(kind uint64) []byte {
		random := rand.New(rand.NewPCG(number, kind))
		b := make([]byte, 16)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	b := &telemetryv1.Batch{UnitToken: id(1), BatchId: id(2), Period: uint32(period.Of(time.Now())), PolicyVersion: 1}
	for range events {
		b.Slices = append(b.Slices, &telemetryv1.Slice{Machine: "ultimaker_s5", LayerHeightUm: 200})
	}
	return &collectorv1.UploadRequest{Batch: b}
}

// duplicates delivers each batch one to five times at once, across a restart.
func (s *scene) duplicates(t *testing.T) {
	client := s.client(t)
	const batches, events = 40, 7
	for life := range 2 {
		ended := make(chan error, 5*batches)
		n := 0
		for i := range uint64(batches) {
			for range 1 + i%5 {
				n++
				go func() {
					_, err := client.Upload(t.Context(), batch(1000+i, events), grpc.WaitForReady(true))
					ended <- err
				}()
			}
		}
		for range n {
			must(t, <-ended)
		}
		if life == 0 {
			s.sent += batches * events
			must(t, s.DB.Restart(t.Context()))
			s.KillCollector()
			must(t, s.StartCollector(t.Context()))
		}
	}
	s.verify(t)
}

// rolling restarts two collectors in turn, each by SIGTERM while the other serves.
func (s *scene) rolling(t *testing.T) {
	dir := filepath.Dir(s.CAFile())
	listen, err := stack.FreeAddress()
	must(t, err)
	admin, err := stack.FreeAddress()
	must(t, err)
	start := func() *exec.Cmd {
		cmd := exec.Command(filepath.Join(binary.Dir, "collectord"), "-listen", listen, "-admin", admin, "-keys", filepath.Join(dir, "keys"),
			"-policy", filepath.Join(dir, "policies.json"), "-plaintext", "-limit-rate", "0", "-flush-age", "20ms", "-max-streams", "64")
		cmd.Env = append(cmd.Environ(), "COLLECTORD_CLICKHOUSE="+s.through(s.DB.DSN("collector")))
		must(t, cmd.Start())
		t.Cleanup(func() { // where the test ends early; otherwise it has ended by then
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		for end := time.Now().Add(resume); !stack.Ready(t.Context(), admin); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the second collector is not ready")
			}
		}
		return cmd
	}
	second := start()
	s.setTargets(s.Target(), listen)
	s.strike(t, func(ctx context.Context) {
		for range cycles(t, 2) {
			s.setTargets(listen)
			s.StopCollector()
			must(t, s.StartCollector(ctx))
			s.setTargets(s.Target())
			must(t, second.Process.Signal(syscall.SIGTERM))
			must(t, second.Wait())
			second = start()
			s.setTargets(s.Target(), listen)
		}
	})
	s.balanced(t, admin)
	s.setTargets(s.Target())
	must(t, second.Process.Signal(syscall.SIGTERM))
	must(t, second.Wait())
}
