// Package clienttest helps hosts to test what they record: a collector that
// keeps what it gets and answers as it is told, broken ones, and a clock.
package clienttest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	_ "github.com/slicemetry/slicemetry/internal/zstdcodec/grpczstd" // what clients compress with
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	"github.com/slicemetry/slicemetry/proto/collector/v1/collectorgrpc"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// Answer is what a Recorder says to one call.
type Answer struct {
	Code       codes.Code
	RetryAfter time.Duration // with RetryInfo, when it is not 0
	Delay      time.Duration // before it says anything
	Hang       bool          // say nothing until the client gives up
	Lose       bool          // take the batch, then fail: an acknowledgement that is lost
	Reset      bool          // reset the connection instead of answering
	HalfClose  bool          // end this side of the connection instead of answering, and go on reading
	Partial    bool          // take the batch, and break off in the middle of the answer
}

// good reports whether the client learns that what it asked for was done.
func (a Answer) good() bool {
	return a.Code == codes.OK && !a.Hang && !a.Lose && !a.Reset && !a.HalfClose && !a.Partial
}

// Recorder is a collector on loopback, for the peer's side of a test.
type Recorder struct {
	collectorgrpc.UnimplementedCollectorServer
	listener *trackingListener

	mu       sync.Mutex
	script   []Answer                     // guarded by mu: of the next calls; afterwards OK
	reply    *collectorv1.UploadResponse  // guarded by mu: what OK says
	requests []*collectorv1.UploadRequest // guarded by mu: every one that arrived
	from     []string                     // guarded by mu: the connection of each
	taken    []*telemetryv1.Batch         // guarded by mu: each once, as they came
	erased   []*collectorv1.EraseRequest  // guarded by mu
}

// Start starts a recorder that stops with the test.
func Start(t testing.TB) *Recorder {
	t.Helper()
	return StartWith(t)
}

// StartWith starts a recorder with options of the server, such as a certificate.
func StartWith(t testing.TB, options ...grpc.ServerOption) *Recorder {
	t.Helper()
	r := &Recorder{listener: listen(t), reply: &collectorv1.UploadResponse{PolicyVersion: 1}}
	server := grpc.NewServer(options...)
	collectorgrpc.RegisterCollectorServer(server, r)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(r.listener) // ends with Stop
	}()
	t.Cleanup(func() {
		server.Stop()
		<-ended
	})
	return r
}

// Addr returns host:port, for a client's Config.Endpoint with Plaintext.
func (r *Recorder) Addr() string { return r.listener.Addr().String() }

// Script sets the answers to the next calls of Upload and Erase; after them every
// answer is OK.
func (r *Recorder) Script(answers ...Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.script = answers
}

// Reply sets what OK says: a policy in force, a notice, a pause.
func (r *Recorder) Reply(reply *collectorv1.UploadResponse) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reply = reply
}

// next takes the next answer from the script.
func (r *Recorder) next() Answer {
	if len(r.script) == 0 {
		return Answer{}
	}
	answer := r.script[0]
	r.script = r.script[1:]
	return answer
}

// Upload implements collectorgrpc.CollectorServer.
func (r *Recorder) Upload(ctx context.Context, request *collectorv1.UploadRequest) (*collectorv1.UploadResponse, error) {
	answer, reply := r.note(request, connection(ctx))
	if err := r.behave(ctx, answer); err != nil {
		return nil, err
	}
	return reply, nil
}

// Erase implements collectorgrpc.CollectorServer.
func (r *Recorder) Erase(ctx context.Context, request *collectorv1.EraseRequest) (*collectorv1.EraseResponse, error) {
	r.mu.Lock()
	answer := r.next()
	if answer.good() {
		r.erased = append(r.erased, proto.Clone(request).(*collectorv1.EraseRequest))
	}
	r.mu.Unlock()
	if err := r.behave(ctx, answer); err != nil {
		return nil, err
	}
	token := request.GetUnitToken()
	return &collectorv1.EraseResponse{Receipt: fmt.Appendf(nil, "receipt for %s", token[:min(4, len(token))]), GoneBy: request.GetPeriod() + 37}, nil
}

// GetPolicy implements collectorgrpc.CollectorServer.
func (r *Recorder) GetPolicy(context.Context, *collectorv1.GetPolicyRequest) (*collectorv1.GetPolicyResponse, error) {
	return &collectorv1.GetPolicyResponse{
		Current:  &collectorv1.Policy{Version: 1, Url: "https://example.org/privacy/1"},
		Operator: "Example Printing", PrivacyContact: "privacy@example.org", Complaints: "https://example.org/complaints", AnswerDays: 45,
	}, nil
}

// behave does what an answer says; nil is OK.
func (r *Recorder) behave(ctx context.Context, answer Answer) error {
	if answer.Delay > 0 {
		select {
		case <-time.After(answer.Delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	switch {
	case answer.Hang:
		<-ctx.Done()
		return ctx.Err()
	case answer.Reset:
		r.listener.reset(connection(ctx))
		return status.Error(codes.Unavailable, "reset")
	case answer.HalfClose:
		r.listener.halfClose(connection(ctx))
		<-ctx.Done()
		return ctx.Err()
	case answer.Partial:
		r.listener.breakOff(connection(ctx))
		return nil
	case answer.Lose:
		answer.Code = codes.Unavailable
	}
	s := status.New(answer.Code, "as scripted")
	if answer.RetryAfter > 0 {
		if detailed, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(answer.RetryAfter)}); err == nil {
			s = detailed
		}
	}
	return s.Err()
}

func (r *Recorder) note(request *collectorv1.UploadRequest, from string) (Answer, *collectorv1.UploadResponse) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, proto.Clone(request).(*collectorv1.UploadRequest))
	r.from = append(r.from, from)
	answer := r.next()
	if answer.good() || answer.Lose || answer.Partial {
		r.take(request.GetBatch())
	}
	return answer, r.reply
}

// take keeps a batch that was not taken before. mu is held.
func (r *Recorder) take(b *telemetryv1.Batch) {
	same := func(t *telemetryv1.Batch) bool {
		return bytes.Equal(t.GetUnitToken(), b.GetUnitToken()) && bytes.Equal(t.GetBatchId(), b.GetBatchId())
	}
	if !slices.ContainsFunc(r.taken, same) {
		r.taken = append(r.taken, b)
	}
}

func connection(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok {
		return p.Addr.String()
	}
	return ""
}

// Requests returns every request that arrived, repetitions included.
func (r *Recorder) Requests() []*collectorv1.UploadRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Connections returns, for each of Requests, a name of the connection that it
// came over.
func (r *Recorder) Connections() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.from)
}

// Erased returns the requests to erase that were answered with a receipt.
func (r *Recorder) Erased() []*collectorv1.EraseRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.erased)
}

// Slices returns what a collector would have stored: the slices of the batches
// that were taken, each batch once.
func (r *Recorder) Slices() []*telemetryv1.Slice {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*telemetryv1.Slice
	for _, b := range r.taken {
		list = append(list, b.GetSlices()...)
	}
	return list
}

// Accepted returns how many connections were made.
func (r *Recorder) Accepted() int { return r.listener.count() }

// Received returns how many octets arrived over all connections.
func (r *Recorder) Received() int64 { return r.listener.received.Load() }

// listen listens on a free port of loopback.
func listen(t testing.TB) *trackingListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return &trackingListener{Listener: l, conns: map[string]*countingConn{}}
}
