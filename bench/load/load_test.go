package load

import (
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/slicemetry/slicemetry/client/clienttest"
	"github.com/slicemetry/slicemetry/internal/period"
)

func config(r *clienttest.Recorder) Config {
	return Config{Target: r.Addr(), Credentials: insecure.NewCredentials(), Installations: 50, Connections: 2, InFlight: 8, Batch: 10, Events: 1000, Seed: 1}
}

// What is put together by hand reads back as the protocol, and everything that
// was acknowledged arrived.
func TestRequestsAreReal(t *testing.T) {
	r := clienttest.Start(t)
	result, err := Run(t.Context(), config(r))
	if err != nil || result.Acked != 1000 || result.Attempts != 100 {
		t.Fatalf("%+v, %v, want 1000 events in 100 calls", result, err)
	}
	tokens := map[string]bool{}
	for _, q := range r.Requests() {
		b := q.GetBatch()
		if len(b.Slices) != 10 || len(b.UnitToken) != 16 || len(b.BatchId) != 16 || b.PolicyVersion != 1 ||
			b.Period != uint32(period.Of(time.Now())) || b.Counters.GetSlicesStarted() != 10 || b.Slices[0].Machine == "" {
			t.Fatalf("request %v", q)
		}
		tokens[string(b.UnitToken)] = true
	}
	if len(tokens) < 20 || len(tokens) > 50 {
		t.Errorf("%d installations took part, want up to 50", len(tokens))
	}
	if result.P50Ms <= 0 || result.P99Ms < result.P50Ms || result.MaxMs < result.P99Ms {
		t.Errorf("latencies %+v", result)
	}
}

// What is refused is sent again until it is acknowledged.
func TestRefusedIsSentAgain(t *testing.T) {
	r := clienttest.Start(t)
	r.Script(clienttest.Answer{Code: codes.Unavailable}, clienttest.Answer{Lose: true}, clienttest.Answer{Code: codes.ResourceExhausted})
	result, err := Run(t.Context(), config(r))
	if err != nil || result.Acked != 1000 || result.Attempts != 103 || len(r.Slices()) != 1000 {
		t.Errorf("%+v, %v, %d stored, want 1000 in 103 calls, each once", result, err, len(r.Slices()))
	}
	if result.Refused["Unavailable"] != 2 || result.Refused["ResourceExhausted"] != 1 {
		t.Errorf("refused %v", result.Refused)
	}
}

// At a fixed rate a latency counts from the moment a batch was due: one stall
// shows in all that were due meanwhile.
func TestOpenLoopCountsFromDue(t *testing.T) {
	r := clienttest.Start(t)
	r.Script(clienttest.Answer{Code: codes.Unavailable}) // stalls the only caller for a retry's pause
	cfg := config(r)
	cfg.InFlight, cfg.Connections, cfg.Rate = 1, 1, 100_000
	result, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if result.P50Ms < result.MaxMs/4 {
		t.Errorf("one stall of %.1f ms left a median of %.1f ms: it was not counted for those who waited", result.MaxMs, result.P50Ms)
	}
}

// A plot is well-formed, names its run and has a point for each percentile.
func TestPlot(t *testing.T) {
	picture := Plot("5 < 6", []Latency{{0, 1}, {50, 20}, {99.99, 100}, {100, 400}})
	var svg struct {
		Title    string `xml:"title"`
		Polyline struct {
			Points string `xml:"points,attr"`
		} `xml:"polyline"`
	}
	if err := xml.Unmarshal(picture, &svg); err != nil {
		t.Fatal(err)
	}
	if svg.Title != "5 < 6" || len(strings.Fields(svg.Polyline.Points)) != 4 {
		t.Errorf("drew %+v", svg)
	}
}
