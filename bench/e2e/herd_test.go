package e2e

import (
	"context"
	crand "crypto/rand"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/slicemetry/slicemetry/bench/load"
	"github.com/slicemetry/slicemetry/bench/stack"
	"github.com/slicemetry/slicemetry/internal/period"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	"github.com/slicemetry/slicemetry/proto/collector/v1/collectorgrpc"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

const (
	herdEvents = 5
	// herdRetry is what the collector asks for on average. Outside of tests it is a
	// minute, and the client's first pause is up to an hour, which spreads them more.
	herdRetry = 3 * time.Second
	// longestPause is short, so that the last of them does not make the test long.
	longestPause = 2 * herdRetry
	herdCalls    = 256       // may be under way at once
	herdRSS      = 250 << 20 // of the collector
	callTime     = 15 * time.Second
)

// herd is how many clients come back at once: 2,000, or as many as the environment says.
func herd(t *testing.T) int {
	text := os.Getenv("SLICEMETRY_HERD")
	if text == "" {
		return 2000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("SLICEMETRY_HERD=%q is no number of clients", text)
	}
	return n
}

// told is what the clients of a herd were told.
type told struct {
	mu      sync.Mutex
	refused map[string]int  // attempts by code, guarded by mu, as is all below
	waits   []time.Duration // that the collector asked for
	mute    int             // refusals that asked for none
	first   int             // clients that have had an answer
	once    *sync.Cond      // first grew
}

// client is one installation with one batch: each attempt is a connection of its own,
// and after one that failed it waits as the client does: with full jitter, and no less
// than it was asked to.
func (h *told) client(ctx context.Context, t *testing.T, target string, secure credentials.TransportCredentials, number int) {
	from := &net.TCPAddr{IP: net.IPv4(127, 20, byte(number/500), 1)}
	dial := func(ctx context.Context, address string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: from}).DialContext(ctx, "tcp", address)
	}
	b := &telemetryv1.Batch{UnitToken: random16(), BatchId: random16(), Period: uint32(period.Of(time.Now())), PolicyVersion: 1}
	for range herdEvents {
		b.Slices = append(b.Slices, &telemetryv1.Slice{Machine: "ultimaker_s5", LayerHeightUm: 200})
	}
	for failures := 0; ; failures++ {
		err := attempt(ctx, target, secure, dial, &collectorv1.UploadRequest{Batch: b})
		asked := h.note(err, failures == 0)
		if err == nil {
			return
		}
		pause := max(asked, rand.N(min(herdRetry<<min(failures, 16), longestPause))) // beyond 31 it would overflow
		if !load.Sleep(ctx, pause) {
			t.Errorf("client %d is not done: %v", number, err)
			return
		}
	}
}

func attempt(ctx context.Context, target string, secure credentials.TransportCredentials, dial func(context.Context, string) (net.Conn, error), request *collectorv1.UploadRequest) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	conn, err := grpc.NewClient("passthrough:///"+target, grpc.WithTransportCredentials(secure), grpc.WithContextDialer(dial), grpc.WithDisableRetry(), grpc.WithNoProxy(), grpc.WithAuthority("localhost"))
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = collectorgrpc.NewCollectorClient(conn).Upload(ctx, request)
	return err
}

// note books an answer and returns the wait that was asked for.
func (h *told) note(err error, first bool) (asked time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if first {
		h.first++
		h.once.Broadcast()
	}
	if err == nil {
		return 0
	}
	code := status.Code(err)
	h.refused[code.String()]++
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			asked = info.RetryDelay.AsDuration()
			h.waits = append(h.waits, asked)
		}
	}
	if asked == 0 && code == codes.ResourceExhausted {
		h.mute++
	}
	return asked
}

// answered waits until so many clients have had an answer, or for a time.
func (h *told) answered(n int, most time.Duration) {
	end := time.Now().Add(most)
	defer time.AfterFunc(most, h.once.Broadcast).Stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.first < n && time.Now().Before(end) {
		h.once.Wait()
	}
}

// F31: after an outage all want to send at once. Those for whom there is no place are
// told when to come back, spread over a time, and all that everybody has is stored once.
func TestHerd(t *testing.T) {
	n := herd(t)
	s, cfg := startStack(t, "-max-calls", strconv.Itoa(herdCalls), "-retry-after", herdRetry.String())
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	h := &told{refused: map[string]int{}}
	h.once = sync.NewCond(&h.mu)
	var clients sync.WaitGroup
	began := time.Now()
	if err := s.CrashDB(ctx, func() {
		for i := range n {
			clients.Go(func() { h.client(ctx, t, s.Target(), cfg.Credentials, i) })
		}
		h.answered(n-herdCalls, 30*time.Second) // the others wait for the database
	}); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	clients.Wait()
	usage, err := stack.UsageOf(s.CollectorPid())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d clients, %s of outage, all done %s later; refused %v; peak %d MiB", n, back.Sub(began).Round(time.Millisecond),
		time.Since(back).Round(time.Millisecond), h.refused, usage.PeakRSS>>20)
	if usage.PeakRSS > herdRSS {
		t.Errorf("the collector took %d MiB, want at most %d", usage.PeakRSS>>20, herdRSS>>20)
	}
	if h.mute > 0 {
		t.Errorf("%d were turned away without a time to come back", h.mute)
	}
	spread(t, h.waits)
	read, _, err := s.Stored(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if read != uint64(n*herdEvents) {
		t.Errorf("%d events are read, want %d, each once", read, n*herdEvents)
	}
	metrics, err := stack.ReadMetrics(ctx, s.Admin())
	if err != nil {
		t.Fatal(err)
	}
	if books := metrics.Accounting(); !books.Balanced() || metrics["slicemetry_calls"] != 0 {
		t.Errorf("books %+v, %g calls under way", books, metrics["slicemetry_calls"])
	}
}

// spread checks that the waits that were asked for lie between half and one and a half
// times the mean, evenly. Of 1,000 waits a tenth of that time gets 100 give or take 9.5:
// more than 200 by chance happens less than once in 10^20 runs.
func spread(t *testing.T, waits []time.Duration) {
	t.Helper()
	const parts = 10
	var count [parts]int
	for _, w := range waits {
		at := int(float64(w-herdRetry/2) / float64(herdRetry) * parts)
		if w < herdRetry/2 || at >= parts {
			t.Fatalf("a client was asked to wait %s", w)
		}
		count[at]++
	}
	t.Logf("asked to wait, by tenths of the time: %v", count)
	for _, c := range count {
		if len(waits) >= 1000 && c > 2*len(waits)/parts {
			t.Errorf("%d of %d would come back in the same tenth of the time", c, len(waits))
		}
	}
	if len(waits) == 0 {
		t.Error("nobody was asked to wait: there was no herd")
	}
}

func random16() []byte {
	b := make([]byte, 16)
	crand.Read(b)
	return b
}
