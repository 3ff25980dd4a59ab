package otlp

import (
	crand "crypto/rand"
	"encoding/hex"
	"math/rand/v2"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/bench/fleet"
	"github.com/slicemetry/slicemetry/bench/load"
	"github.com/slicemetry/slicemetry/internal/period"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// The field numbers of OTLP's messages. Requests are put together from encoded
// attributes, as bench/load does with encoded events: a generator that encodes
// forty attributes an event anew would take the machine from the collector.
const (
	requestResourceLogs = 1
	logsResource        = 1
	logsScopeLogs       = 2
	scopeScope          = 1
	scopeRecords        = 2
	recordTime          = 1
	recordAttributes    = 6
	recordObserved      = 11
	recordEventName     = 12

	randomOctets = 16
	eventsPool   = 4096 // different events in circulation, as many as bench/load has
)

// The names that every event bears, and the attributes of its resource.
const (
	serviceName = "slicer"
	scopeName   = "slicemetry"
	eventName   = "slice"

	BatchAttribute = "batch" // random, new for each call: what counts losses and repetitions
	unitAttribute  = "unit"
)

// requests makes export requests of one fleet.
type requests struct {
	period period.Period
	batch  int
	events [][]byte // encoded: the fields of a LogRecord but its times
	scope  []byte   // encoded, as field 1 of ScopeLogs
	tokens []string // one an installation
}

// newRequests takes the events that bench/load takes: the same fleet, weeks, order
// and rounding.
func newRequests(cfg load.Config, p period.Period) (*requests, error) {
	r := &requests{period: p, batch: cfg.Batch, tokens: make([]string, cfg.Installations)}
	for i := range r.tokens {
		r.tokens[i] = randomHex()
	}
	f := fleet.New(cfg.Seed, cfg.Installations)
	for i := 0; len(r.events) < eventsPool; i++ {
		for _, s := range f.Week(i%f.Size(), p+period.Period(7*(i/f.Size()))).Slices {
			coarse := &telemetryv1.Slice{}
			rules.Coarsen(coarse, s, rules.Draw(i), nil)
			encoded, err := encodedAttributes(coarse)
			if err != nil {
				return nil, err
			}
			r.events = append(r.events, appendMessage(encoded, recordEventName, []byte(eventName)))
		}
	}
	scope, err := proto.Marshal(&commonpb.InstrumentationScope{Name: scopeName})
	r.scope = appendMessage(nil, scopeScope, scope)
	return r, err
}

// Next implements load.Protocol: one request, of an installation drawn at random:
//
//	ResourceLogs
//	    Resource      service.name, unit, batch, period
//	    ScopeLogs     slicemetry
//	        LogRecord   times, attributes, event name    one an event
func (r *requests) Next(random *rand.Rand) ([]byte, error) {
	resource, err := proto.Marshal(&resourcepb.Resource{Attributes: []*commonpb.KeyValue{
		text("service.name", serviceName), text(unitAttribute, r.tokens[random.IntN(len(r.tokens))]),
		text(BatchAttribute, randomHex()), number("period", int64(r.period)),
	}})
	if err != nil {
		return nil, err
	}
	now := uint64(time.Now().UnixNano())
	records := append(make([]byte, 0, r.batch*1500), r.scope...)
	first := random.IntN(len(r.events))
	for i := range r.batch {
		records = appendRecord(records, now+uint64(i), r.events[(first+i)%len(r.events)])
	}
	logs := appendMessage(make([]byte, 0, len(records)+len(resource)+32), logsResource, resource)
	logs = appendMessage(logs, logsScopeLogs, records)
	return appendMessage(make([]byte, 0, len(logs)+16), requestResourceLogs, logs), nil
}

// appendRecord appends a LogRecord: its times, each eight octets after
// its tag, and the rest as it was encoded.
func appendRecord(b []byte, at uint64, rest []byte) []byte {
	times := protowire.SizeTag(recordTime) + protowire.SizeTag(recordObserved) + 2*protowire.SizeFixed64()
	b = protowire.AppendTag(b, scopeRecords, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(times+len(rest)))
	b = protowire.AppendTag(b, recordTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, at)
	b = protowire.AppendTag(b, recordObserved, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, at)
	return append(b, rest...)
}

func appendMessage(b []byte, field protowire.Number, encoded []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, encoded)
}

func randomHex() string {
	b := make([]byte, randomOctets)
	crand.Read(b)
	return hex.EncodeToString(b)
}
