package spool

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// Kind tells what a record is.
type Kind byte

// The kinds.
const (
	KindSlice    Kind = 1
	KindCounters Kind = 2
)

// Record is one recorded thing, encoded.
type Record struct {
	Kind    Kind
	Payload []byte
}

// Header is what all records of a segment share.
type Header struct {
	Period  uint32 // first day, in days since 1970-01-01
	Policy  uint32 // version that the user agreed to
	BatchID [16]byte
}

const (
	// A segment begins with magic and a digit, its version. Every version has this
	// version's header (see the package comment).
	magic       = "SMS"
	version     = '1'
	headerBytes = 36
	frameBytes  = 8 // before kind and payload
	// maxPayload bounds what a length in a damaged file can make us read.
	maxPayload = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrDamaged says that a file does not hold what was written.
var ErrDamaged = errors.New("spool: damaged")

// errVersion says that a segment is of another version of this library.
var errVersion = errors.New("spool: a segment of another version")

func newHeader(period, policy uint32) Header {
	h := Header{Period: period, Policy: policy}
	rand.Read(h.BatchID[:])
	return h
}

func (h Header) encode() []byte {
	b := make([]byte, 0, headerBytes)
	b = append(b, magic...)
	b = append(b, version)
	b = binary.LittleEndian.AppendUint32(b, h.Period)
	b = binary.LittleEndian.AppendUint32(b, h.Policy)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = append(b, h.BatchID[:]...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeHeader(b []byte) (Header, error) {
	if len(b) < headerBytes || string(b[:len(magic)]) != magic ||
		crc32.Checksum(b[:headerBytes-4], castagnoli) != binary.LittleEndian.Uint32(b[headerBytes-4:headerBytes]) {
		return Header{}, ErrDamaged
	}
	h := Header{Period: binary.LittleEndian.Uint32(b[4:]), Policy: binary.LittleEndian.Uint32(b[8:])}
	copy(h.BatchID[:], b[16:32])
	return h, nil
}

// appendFrame appends a record to b.
func appendFrame(b []byte, kind Kind, payload []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(1+len(payload)))
	sum := crc32.Update(crc32.Checksum([]byte{byte(kind)}, castagnoli), castagnoli, payload)
	b = binary.LittleEndian.AppendUint32(b, sum)
	b = append(b, byte(kind))
	return append(b, payload...)
}

// decode reads a segment. damaged says that it does not end where a frame ends;
// the records before that are good.
func decode(b []byte) (h Header, records []Record, damaged bool, err error) {
	if h, err = decodeHeader(b); err != nil {
		return h, nil, true, err
	}
	if b[len(magic)] != version {
		return h, nil, false, errVersion
	}
	for b = b[headerBytes:]; len(b) > 0; {
		if len(b) < frameBytes {
			return h, records, true, nil
		}
		length, sum := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
		b = b[frameBytes:]
		if length < 1 || length > 1+maxPayload || uint64(length) > uint64(len(b)) || crc32.Checksum(b[:length], castagnoli) != sum {
			return h, records, true, nil
		}
		records = append(records, Record{Kind: Kind(b[0]), Payload: b[1:length]})
		b = b[length:]
	}
	return h, records, false, nil
}
