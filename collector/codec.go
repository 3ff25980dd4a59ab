package collector

import (
	"context"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"github.com/slicemetry/slicemetry/internal/zstdcodec"
	"github.com/slicemetry/slicemetry/proto/collector/v1/collectorgrpc"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// upload is one Upload call's request, decoded without protobuf's reflection into
// memory that is used again: half of what a batch costs otherwise.
type upload struct {
	decoder rules.Decoder
	report  rules.Report
	batch   *telemetryv1.Batch // of decoder; nil where the request held none
	err     error              // why it could not be decoded
}

var uploads = sync.Pool{New: func() any { return new(upload) }}

// buffers are for what is received. gRPC's own have 4, 16 and 32 KiB and a MiB: a body in frames
// of a little over a KiB would hold four times its size, one of 33 KiB a MiB where it is decoded.
var buffers = mem.NewTieredBufferPool(1<<10, 2<<10, 4<<10, 8<<10, 16<<10, 32<<10, 64<<10, 128<<10, zstdcodec.MaxMessageBytes)

// codec is protobuf's, but for uploads. An upload that cannot be decoded is the
// handler's to refuse: gRPC would answer Internal, and its client would keep it.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	request, ok := v.(**upload)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	// Not before the body is there: thousands of calls may wait for theirs, and the memory
	// of a few uploads stays in the processor's cache.
	u := uploads.Get().(*upload)
	*request = u
	message := data.MaterializeToBuffer(buffers)
	defer message.Free()
	u.report.Reset()
	u.batch, u.err = u.decoder.UploadRequest(message.ReadOnlyData())
	return nil
}

// service describes the protocol's service with Upload served by Server.upload,
// and every call admitted before it is read.
func service() *grpc.ServiceDesc {
	desc := collectorgrpc.Collector_ServiceDesc
	desc.Methods = slices.Clone(desc.Methods)
	for i := range desc.Methods {
		m := &desc.Methods[i]
		if m.MethodName == "Upload" {
			m.Handler = handleUpload
		}
		m.Handler = admitted(m.Handler)
	}
	return &desc
}

// handleUpload is what protoc-gen-go-grpc generates, with our request.
func handleUpload(server any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var u *upload
	if err := decode(&u); err != nil {
		return nil, err
	}
	return server.(*Server).upload(ctx, u)
}
