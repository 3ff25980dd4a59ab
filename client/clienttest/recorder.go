// Package clienttest helps hosts to test what they record: a collector that
// keeps what it gets, and answers as it is told.
package clienttest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	_ "github.com/slicemetry/slicemetry/internal/zstdcodec" // what clients compress with
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// Answer is what a Recorder says to one call.
type Answer struct {
	Code       codes.Code
	RetryAfter time.Duration // with RetryInfo, when it is not 0
	Hang       bool          // say nothing until the client gives up
	Lose       bool          // take the batch, then fail: an acknowledgement that is lost
}

// Recorder is a collector on loopback, for the peer's side of a test.
type Recorder struct {
	collectorv1.UnimplementedCollectorServer
	addr string

	mu       sync.Mutex
	script   []Answer                      // guarded by mu: of the next calls; afterwards OK
	requests []*collectorv1.UploadRequest  // guarded by mu: every one that arrived
	taken    map[string]*telemetryv1.Batch // guarded by mu: by token and batch id
}

// Start starts a recorder that stops with the test.
func Start(t testing.TB) *Recorder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Recorder{addr: listener.Addr().String(), taken: map[string]*telemetryv1.Batch{}}
	server := grpc.NewServer()
	collectorv1.RegisterCollectorServer(server, r)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener) // ends with Stop
	}()
	t.Cleanup(func() {
		server.Stop()
		<-ended
	})
	return r
}

// Addr returns host:port, for a client's Config.Endpoint with Plaintext.
func (r *Recorder) Addr() string { return r.addr }

// Script sets the answers to the next calls; after them every answer is OK.
func (r *Recorder) Script(answers ...Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.script = answers
}

// Upload implements collectorv1.CollectorServer.
func (r *Recorder) Upload(ctx context.Context, request *collectorv1.UploadRequest) (*collectorv1.UploadResponse, error) {
	answer := r.note(request)
	if answer.Hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if answer.Lose {
		answer.Code = codes.Unavailable
	}
	if answer.Code == codes.OK {
		return &collectorv1.UploadResponse{PolicyVersion: 1}, nil
	}
	s := status.New(answer.Code, "as scripted")
	if answer.RetryAfter > 0 {
		if detailed, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(answer.RetryAfter)}); err == nil {
			s = detailed
		}
	}
	return nil, s.Err()
}

func (r *Recorder) note(request *collectorv1.UploadRequest) Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, proto.Clone(request).(*collectorv1.UploadRequest))
	var answer Answer
	if len(r.script) > 0 {
		answer, r.script = r.script[0], r.script[1:]
	}
	if answer.Lose || !answer.Hang && answer.Code == codes.OK {
		b := request.GetBatch()
		r.taken[string(b.GetUnitToken())+string(b.GetBatchId())] = b
	}
	return answer
}

// Requests returns every request that arrived, repetitions included.
func (r *Recorder) Requests() []*collectorv1.UploadRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*collectorv1.UploadRequest(nil), r.requests...)
}

// Slices returns what a collector would have stored: the slices of the batches
// that were taken, each batch once.
func (r *Recorder) Slices() []*telemetryv1.Slice {
	r.mu.Lock()
	defer r.mu.Unlock()
	var slices []*telemetryv1.Slice
	for _, b := range r.taken {
		slices = append(slices, b.GetSlices()...)
	}
	return slices
}
