package otlp

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	collogspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/slicemetry/slicemetry/bench/load"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// sink takes what is exported, and refuses as it was told.
type sink struct {
	collogspb.UnimplementedLogsServiceServer

	mu       sync.Mutex
	script   []func() (*collogspb.ExportLogsServiceResponse, error) // guarded by mu: what the next calls get
	requests []*collogspb.ExportLogsServiceRequest                  // guarded by mu: what was acknowledged
}

func (s *sink) Export(_ context.Context, q *collogspb.ExportLogsServiceRequest) (*collogspb.ExportLogsServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.script) > 0 {
		answer := s.script[0]
		s.script = s.script[1:]
		return answer()
	}
	s.requests = append(s.requests, q)
	return &collogspb.ExportLogsServiceResponse{}, nil
}

func start(t *testing.T, s *sink) load.Config {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	collogspb.RegisterLogsServiceServer(server, s)
	go server.Serve(listener) // ends with Stop
	t.Cleanup(server.Stop)
	return load.Config{Target: listener.Addr().String(), Credentials: insecure.NewCredentials(), Installations: 50, Connections: 2, InFlight: 8, Batch: 10, Events: 1000, Seed: 1}
}

// What is put together by hand reads back as OTLP, and everything that was
// acknowledged arrived.
func TestRequestsAreReal(t *testing.T) {
	s := &sink{}
	result, err := Run(t.Context(), start(t, s))
	if err != nil || result.Acked != 1000 || result.Attempts != 100 {
		t.Fatalf("%+v, %v, want 1000 events in 100 calls", result, err)
	}
	batches := map[string]bool{}
	for _, q := range s.requests {
		logs := q.ResourceLogs[0]
		resource := values(logs.Resource.Attributes)
		records := logs.ScopeLogs[0].LogRecords
		batches[resource[BatchAttribute].GetStringValue()] = true
		if len(q.ResourceLogs) != 1 || resource["service.name"].GetStringValue() != serviceName || len(resource[unitAttribute].GetStringValue()) != 2*randomOctets ||
			resource["period"].GetIntValue() == 0 || logs.ScopeLogs[0].Scope.Name != scopeName || len(records) != 10 {
			t.Fatalf("request %v", q)
		}
		r := records[0]
		if age := time.Since(time.Unix(0, int64(r.TimeUnixNano))); age < 0 || age > time.Minute || r.ObservedTimeUnixNano != r.TimeUnixNano || r.EventName != eventName {
			t.Errorf("record %v", r)
		}
		if a := values(r.Attributes); len(a) < 25 || a["machine"].GetStringValue() == "" || a["extruders.0.material_type"].GetStringValue() == "" {
			t.Errorf("attributes %v", a)
		}
	}
	if result.P50Ms <= 0 || result.P99Ms < result.P50Ms || result.MaxMs < result.P99Ms {
		t.Errorf("latencies %+v", result)
	}
	if len(batches) != 100 {
		t.Errorf("%d different batches, want 100", len(batches))
	}
}

// What is refused, or taken in part, is sent again until it is acknowledged.
func TestRefusedIsSentAgain(t *testing.T) {
	s := &sink{script: []func() (*collogspb.ExportLogsServiceResponse, error){
		func() (*collogspb.ExportLogsServiceResponse, error) { return nil, status.Error(codes.Unavailable, "") },
		func() (*collogspb.ExportLogsServiceResponse, error) {
			return &collogspb.ExportLogsServiceResponse{PartialSuccess: &collogspb.ExportLogsPartialSuccess{RejectedLogRecords: 1}}, nil
		},
	}}
	result, err := Run(t.Context(), start(t, s))
	if err != nil || result.Acked != 1000 || result.Attempts != 102 || len(s.requests) != 100 {
		t.Errorf("%+v, %v, %d calls acknowledged, want 100 in 102", result, err, len(s.requests))
	}
	if result.Refused["Unavailable"] != 1 || result.Refused["DataLoss"] != 1 {
		t.Errorf("refused %v", result.Refused)
	}
}

// Every value that is reported is one attribute, and none is that is not.
func TestAttributes(t *testing.T) {
	walls := uint32(0)
	got := values(Attributes(&telemetryv1.Slice{
		Machine: "custom", Support: telemetryv1.Flag_FLAG_NO, InfillPattern: telemetryv1.InfillPattern_INFILL_PATTERN_CUBICSUBDIV,
		WallCount: &walls, PrintTimeS: 60, ChangedSettings: []string{"a", "b"},
		Extruders: []*telemetryv1.Extruder{{MaterialType: "PLA"}, {UsedMg: 100}},
	}))
	want := map[string]*commonpb.KeyValue{}
	for _, kv := range []*commonpb.KeyValue{
		text("machine", "custom"), text("infill_pattern", "cubicsubdiv"), number("wall_count", 0), number("print_time_s", 60),
		text("changed_settings.0", "a"), text("changed_settings.1", "b"), text("extruders.0.material_type", "PLA"), number("extruders.1.used_mg", 100),
		{Key: "support", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{}}},
	} {
		want[kv.Key] = kv
		if got[kv.Key].String() != kv.Value.String() {
			t.Errorf("%s is %v, want %v", kv.Key, got[kv.Key], kv.Value)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d attributes, want %d: %v", len(got), len(want), got)
	}
}

func values(list []*commonpb.KeyValue) map[string]*commonpb.AnyValue {
	m := map[string]*commonpb.AnyValue{}
	for _, kv := range list {
		m[kv.Key] = kv.Value
	}
	return m
}
