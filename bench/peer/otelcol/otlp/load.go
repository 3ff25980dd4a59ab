// Package otlp makes bench/load send its events to an OpenTelemetry Collector, as
// OTLP log records over gRPC.
//
// What drives both is bench/load, so that they can be compared. A reply that
// rejects some of its records acknowledges none.
package otlp

import (
	"context"
	"fmt"
	"time"

	collogspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/bench/load"
	"github.com/slicemetry/slicemetry/internal/period"
)

// exportMethod is the one call of OTLP for logs.
var exportMethod = "/" + collogspb.LogsService_ServiceDesc.ServiceName + "/Export"

// Run sends cfg.Events events, or as many as ctx allows.
func Run(ctx context.Context, cfg load.Config) (load.Result, error) {
	requests, err := newRequests(cfg, period.Of(time.Now()))
	if err != nil {
		return load.Result{}, fmt.Errorf("otlp: %w", err)
	}
	return load.Drive(ctx, cfg, requests)
}

// Send implements load.Protocol.
func (r *requests) Send(ctx context.Context, conn *grpc.ClientConn, request []byte) error {
	reply := &collogspb.ExportLogsServiceResponse{}
	err := conn.Invoke(ctx, exportMethod, &request, reply, grpc.ForceCodec(encoded{}))
	if err == nil && reply.GetPartialSuccess().GetRejectedLogRecords() > 0 {
		err = status.Error(codes.DataLoss, "some records were rejected")
	}
	return err
}

// encoded passes requests through gRPC as they are, and decodes replies.
type encoded struct{}

func (encoded) Name() string { return "proto" }

func (encoded) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (encoded) Unmarshal(b []byte, v any) error { return proto.Unmarshal(b, v.(proto.Message)) }
