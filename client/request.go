package client

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/client/internal/spool"
	"github.com/slicemetry/slicemetry/internal/period"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// Field numbers of UploadRequest and Batch. The records are encoded already; a
// request is put together from their octets, so that a repetition carries the
// same ones and Preview can show them. A test reads the result back.
const (
	fieldBatch         protowire.Number = 1
	fieldUnitToken     protowire.Number = 1
	fieldBatchID       protowire.Number = 2
	fieldPeriod        protowire.Number = 3
	fieldPolicyVersion protowire.Number = 4
	fieldSlices        protowire.Number = 5
	fieldCounters      protowire.Number = 6
)

// encodeRequest returns the request that carries a batch, and how many slices it
// holds.
func encodeRequest(token []byte, b *spool.Batch) (request []byte, slices int) {
	batch := appendOctets(nil, fieldUnitToken, token)
	batch = appendOctets(batch, fieldBatchID, b.BatchID[:])
	batch = appendNumber(batch, fieldPeriod, b.Period)
	batch = appendNumber(batch, fieldPolicyVersion, b.Policy)
	var counters *telemetryv1.UsageCounters
	for _, r := range b.Records {
		switch r.Kind {
		case spool.KindSlice:
			batch = appendOctets(batch, fieldSlices, r.Payload)
			slices++
		case spool.KindCounters:
			counters = addCounters(counters, r.Payload)
		}
	}
	if counters != nil {
		rules.CoarsenCounters(counters, counters, nil) // a sum may pass the limit
		if encoded, err := proto.Marshal(counters); err == nil {
			batch = appendOctets(batch, fieldCounters, encoded)
		}
	}
	return appendOctets(nil, fieldBatch, batch), slices
}

// addCounters adds a record to the batch's sum. A record that does not decode
// was not written by us, and adds nothing.
func addCounters(sum *telemetryv1.UsageCounters, payload []byte) *telemetryv1.UsageCounters {
	var u telemetryv1.UsageCounters
	if proto.Unmarshal(payload, &u) != nil {
		return sum
	}
	if sum == nil {
		sum = &telemetryv1.UsageCounters{}
	}
	sum.SlicesStarted += u.SlicesStarted
	sum.SlicesFinished += u.SlicesFinished
	sum.SlicesFailed += u.SlicesFailed
	sum.SlicesCancelled += u.SlicesCancelled
	return sum
}

func appendOctets(b []byte, field protowire.Number, octets []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), octets)
}

func appendNumber(b []byte, field protowire.Number, n uint32) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(n))
}

// Request is one request, as it will be sent, or was.
type Request struct {
	Week    string                     // that it is about: "2026-W45"
	Octets  []byte                     // what goes into gRPC, before compression
	Message *collectorv1.UploadRequest // the same, decoded
}

func newRequest(token []byte, b *spool.Batch) (Request, error) {
	octets, _ := encodeRequest(token, b)
	message := &collectorv1.UploadRequest{}
	err := proto.Unmarshal(octets, message)
	return Request{Week: period.Period(b.Period).String(), Octets: octets, Message: message}, err
}

// Sent returns the last requests that were acknowledged, octet for octet. They
// are kept for as long as their week's random number is, up to 256 KiB.
func (c *Client) Sent() (requests []Request, err error) {
	if c == nil {
		return nil, ErrNoClient
	}
	defer c.rescue(&err)
	for _, b := range c.spool.Held() {
		token := c.spool.HeldToken(period.Period(b.Period))
		if b.State != spool.Sent || token == nil {
			continue
		}
		request, err := newRequest(token, b)
		if err != nil {
			return nil, fmt.Errorf("client: sent: %w", err)
		}
		requests = append(requests, request)
	}
	return requests, nil
}

// Preview returns the requests that wait, octet for octet. Those of the first
// one's week are what the next connection will carry; the others follow in their
// turn, a week at a time. It ends the batch that is being filled, so that what it
// shows stays true. It does not connect, and where somebody does it waits a moment
// at most, and returns ErrBusy.
func (c *Client) Preview() (requests []Request, err error) {
	if c == nil {
		return nil, ErrNoClient
	}
	defer c.rescue(&err)
	if c.follow().State != Granted {
		return nil, ErrNoConsent
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if c.sending.wait(ctx) != nil {
		return nil, ErrBusy
	}
	defer c.sending.Unlock()
	if err := c.drainQueue(context.Background()); err != nil {
		return nil, err
	}
	lease, err := c.lease()
	if err != nil {
		return nil, err
	}
	defer lease.Release()
	week, others := c.waiting(lease)
	for _, b := range append(week, others...) {
		token, err := lease.Token(period.Period(b.Period))
		if err != nil {
			return nil, err
		}
		request, err := newRequest(token, b)
		if err != nil {
			return nil, fmt.Errorf("client: preview: %w", err)
		}
		requests = append(requests, request)
	}
	return requests, nil
}
