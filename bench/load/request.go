package load

import (
	"context"
	crand "crypto/rand"
	"math/rand/v2"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/bench/fleet"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/internal/zstdcodec"
	_ "github.com/slicemetry/slicemetry/internal/zstdcodec/grpczstd"
	"github.com/slicemetry/slicemetry/proto/collector/v1/collectorgrpc"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// The field numbers of UploadRequest and Batch. Requests are put together from
// encoded slices, because a generator that encodes each event anew would need
// more of the machine than the collector it measures.
const (
	requestBatch      = 1
	batchUnitToken    = 1
	batchBatchID      = 2
	batchPeriod       = 3
	batchPolicy       = 4
	batchSlices       = 5
	batchCounters     = 6
	policyVersion     = 1
	randomOctets      = 16
	encodedSlicesPool = 4096 // different events in circulation
)

// requests is our own protocol: upload requests of one fleet.
type requests struct {
	options  []grpc.CallOption
	period   period.Period
	batch    int
	slices   [][]byte // encoded, each as field 5 of a Batch
	counters []byte   // encoded, as field 6
	tokens   [][]byte // one an installation
}

func newRequests(cfg Config, p period.Period) (*requests, error) {
	r := &requests{period: p, batch: cfg.Batch, tokens: make([][]byte, cfg.Installations), options: []grpc.CallOption{grpc.ForceCodec(encoded{})}}
	if cfg.Compress {
		r.options = append(r.options, grpc.UseCompressor(zstdcodec.Name))
	}
	for i := range r.tokens {
		r.tokens[i] = make([]byte, randomOctets)
		crand.Read(r.tokens[i])
	}
	f := fleet.New(cfg.Seed, cfg.Installations)
	for i := 0; len(r.slices) < encodedSlicesPool; i++ {
		for _, s := range f.Week(i%f.Size(), p+period.Period(7*(i/f.Size()))).Slices {
			coarse := &telemetryv1.Slice{}
			rules.Coarsen(coarse, s, rules.Draw(i), nil)
			encoded, err := proto.Marshal(coarse)
			if err != nil {
				return nil, err
			}
			r.slices = append(r.slices, appendMessage(nil, batchSlices, encoded))
		}
	}
	encoded, err := proto.Marshal(&telemetryv1.UsageCounters{SlicesStarted: uint32(cfg.Batch), SlicesFinished: uint32(cfg.Batch)})
	r.counters = appendMessage(nil, batchCounters, encoded)
	return r, err
}

// Send implements Protocol.
func (r *requests) Send(ctx context.Context, conn *grpc.ClientConn, request []byte) error {
	return conn.Invoke(ctx, collectorgrpc.Collector_Upload_FullMethodName, &request, nil, r.options...)
}

// Next implements Protocol: one request of an installation drawn at random.
func (r *requests) Next(random *rand.Rand) ([]byte, error) {
	id := make([]byte, randomOctets)
	crand.Read(id)
	batch := make([]byte, 0, 64+r.batch*160)
	batch = appendMessage(batch, batchUnitToken, r.tokens[random.IntN(len(r.tokens))])
	batch = appendMessage(batch, batchBatchID, id)
	batch = protowire.AppendTag(batch, batchPeriod, protowire.VarintType)
	batch = protowire.AppendVarint(batch, uint64(r.period))
	batch = protowire.AppendTag(batch, batchPolicy, protowire.VarintType)
	batch = protowire.AppendVarint(batch, policyVersion)
	first := random.IntN(len(r.slices))
	for i := range r.batch {
		batch = append(batch, r.slices[(first+i)%len(r.slices)]...)
	}
	batch = append(batch, r.counters...)
	return appendMessage(nil, requestBatch, batch), nil
}

func appendMessage(b []byte, field protowire.Number, encoded []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, encoded)
}

// encoded passes requests through gRPC as they are, and drops the reply's body.
type encoded struct{}

func (encoded) Name() string { return "proto" }

func (encoded) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (encoded) Unmarshal([]byte, any) error { return nil }
