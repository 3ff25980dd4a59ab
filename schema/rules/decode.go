package rules

import (
	"errors"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/catalog"
)

// MaxSlices is how many slices a batch may hold, as the protocol says.
const MaxSlices = 200

// Decoder decodes upload requests, each into the same messages, which are those of
// the last one. A text that is not on its field's list is not even copied.
//
// For the rules it is as good as protobuf's own decoding: Coarsen makes the same of
// both, and reports the same. A test holds the two together.
type Decoder struct {
	batch    telemetryv1.Batch
	counters telemetryv1.UsageCounters
	slices   []*sliceDecoder
	items    []*telemetryv1.Slice // of slices
	count    int
	last     lastTexts
}

// lastTexts are the last listed text of each field: one installation's slices are
// much alike, and comparing costs less than looking up.
type lastTexts [textFields]string

func (l *lastTexts) text(field int, list *catalog.List, otherwise string, v []byte) (string, error) {
	if len(v) > 0 && string(v) == l[field] {
		return l[field], nil
	}
	t, err := text(list, otherwise, v)
	if err == nil && t != unlisted {
		l[field] = t
	}
	return t, err
}

// unlisted stands for every text that is on no list.
const unlisted = "?"

var errMalformed = errors.New("rules: not an encoded message")

// The numbers of the fields of UploadRequest and Batch, with their wire types.
const (
	tagBatch    = 1<<3 | 2
	tagToken    = 1<<3 | 2
	tagID       = 2<<3 | 2
	tagPeriod   = 3 << 3
	tagPolicy   = 4 << 3
	tagSlices   = 5<<3 | 2
	tagCounters = 6<<3 | 2
)

// UploadRequest decodes a request. It returns its batch, nil where there is none,
// which the next call overwrites.
func (d *Decoder) UploadRequest(b []byte) (*telemetryv1.Batch, error) {
	d.reset()
	var batch *telemetryv1.Batch
	for len(b) > 0 {
		tag, rest, err := varint(b)
		if err != nil {
			return nil, err
		}
		if tag != tagBatch {
			if b, err = skip(tag, rest); err != nil {
				return nil, err
			}
			continue
		}
		var v []byte
		if v, b, err = octets(rest); err != nil {
			return nil, err
		}
		if err := d.addBatch(v); err != nil {
			return nil, err
		}
		batch = &d.batch
	}
	if kept := min(d.count, MaxSlices+1); kept > 0 {
		d.items = d.items[:0]
		for _, s := range d.slices[:kept] {
			d.items = append(d.items, &s.m)
		}
		d.batch.Slices = d.items
	}
	return batch, nil
}

// reset empties what the last request filled. What it made larger than honest requests
// need is let go: a decoder is used for a long time.
func (d *Decoder) reset() {
	for _, s := range d.slices[:min(d.count, len(d.slices))] {
		if cap(s.m.ChangedSettings) > maxItems {
			s.m.ChangedSettings = nil
		}
	}
	d.count = 0
	token, id := d.batch.UnitToken[:0], d.batch.BatchId[:0]
	d.batch.Reset()
	if cap(token) <= maxOctets && cap(id) <= maxOctets {
		d.batch.UnitToken, d.batch.BatchId = token, id
	}
}

// maxOctets is more than a token and an id have.
const maxOctets = 64

// Slices is how many slices the last request held, of which no more than
// MaxSlices+1 were kept.
func (d *Decoder) Slices() int { return d.count }

func (d *Decoder) addBatch(b []byte) error {
	for len(b) > 0 {
		tag, rest, err := varint(b)
		if err != nil {
			return err
		}
		var n uint64
		var v []byte
		switch tag {
		case tagToken:
			if v, b, err = octets(rest); err == nil {
				d.batch.UnitToken = append(d.batch.UnitToken[:0], v...)
			}
		case tagID:
			if v, b, err = octets(rest); err == nil {
				d.batch.BatchId = append(d.batch.BatchId[:0], v...)
			}
		case tagPeriod:
			n, b, err = varint(rest)
			d.batch.Period = uint32(n)
		case tagPolicy:
			n, b, err = varint(rest)
			d.batch.PolicyVersion = uint32(n)
		case tagSlices:
			if v, b, err = octets(rest); err == nil {
				err = d.addSlice(v)
			}
		case tagCounters:
			if v, b, err = octets(rest); err == nil {
				if d.batch.Counters == nil {
					d.counters.Reset()
					d.batch.Counters = &d.counters
				}
				err = decodeCounters(d.batch.Counters, &d.last, v)
			}
		default:
			b, err = skip(tag, rest)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addSlice decodes one more slice; those beyond the limit overwrite each other.
func (d *Decoder) addSlice(b []byte) error {
	at := min(d.count, MaxSlices)
	if at == len(d.slices) {
		d.slices = append(d.slices, &sliceDecoder{last: &d.last})
	}
	d.count++
	s := d.slices[at]
	settings, extruders := s.m.ChangedSettings[:0], s.m.Extruders[:0]
	s.m = telemetryv1.Slice{} // what Reset adds to it, the message does for itself when it is asked
	s.m.ChangedSettings, s.m.Extruders = settings, extruders
	return s.decode(b)
}

// item decodes one more message of a list; those beyond the limit overwrite each
// other, because no more than that there were too many is of interest.
func item[M any](list []*M, limit int, last *lastTexts, b []byte, decode func(*M, *lastTexts, []byte) error) ([]*M, error) {
	if len(list) > limit {
		list = list[:limit]
	}
	if len(list) < cap(list) && list[:len(list)+1][len(list)] != nil {
		list = list[:len(list)+1]
		var empty M
		*list[len(list)-1] = empty
	} else {
		list = append(list, new(M))
	}
	return list, decode(list[len(list)-1], last, b)
}

// text returns an encoded text as its list has it.
func text(list *catalog.List, otherwise string, v []byte) (string, error) {
	if len(v) == 0 {
		return "", nil
	}
	if listed, ok := list.Canonical(v); ok {
		return listed, nil
	}
	if string(v) == otherwise {
		return otherwise, nil
	}
	if !utf8.Valid(v) {
		return "", errMalformed
	}
	return unlisted, nil
}

func varint(b []byte) (uint64, []byte, error) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), b[1:], nil
	}
	v, n := protowire.ConsumeVarint(b)
	if n < 0 {
		return 0, nil, errMalformed
	}
	return v, b[n:], nil
}

func octets(b []byte) (v, rest []byte, err error) {
	v, n := protowire.ConsumeBytes(b)
	if n < 0 {
		return nil, nil, errMalformed
	}
	return v, b[n:], nil
}

// skip passes over the value of a field that is not known, or not of that type.
func skip(tag uint64, b []byte) ([]byte, error) {
	number, wireType := protowire.DecodeTag(tag)
	if number < protowire.MinValidNumber || number > protowire.MaxValidNumber {
		return nil, errMalformed
	}
	n := protowire.ConsumeFieldValue(number, wireType, b)
	if n < 0 {
		return nil, errMalformed
	}
	return b[n:], nil
}
