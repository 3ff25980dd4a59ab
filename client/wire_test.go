package client_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/clienttest"
	"github.com/slicemetry/slicemetry/internal/zstdcodec"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/catalog"
)

// wire is a collector that keeps the octets of requests as they arrive.
type wire struct {
	mu     sync.Mutex
	bodies [][]byte // guarded by mu: gRPC's prefix and what follows
	reply  []byte
}

// startWire starts one. It speaks HTTP/2 and no more of gRPC than an OK needs.
func startWire(t *testing.T) (w *wire, address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	message, err := proto.Marshal(&collectorv1.UploadResponse{PolicyVersion: 1})
	if err != nil {
		t.Fatal(err)
	}
	w = &wire{reply: append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)}
	server := &http.Server{Handler: w, Protocols: new(http.Protocols), ReadHeaderTimeout: time.Minute}
	server.Protocols.SetUnencryptedHTTP2(true)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // ends with Close
	}()
	t.Cleanup(func() { server.Close(); <-ended })
	return w, l.Addr().String()
}

// ServeHTTP implements http.Handler.
func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.mu.Lock()
	w.bodies = append(w.bodies, body)
	w.mu.Unlock()
	rw.Header().Set("Content-Type", "application/grpc")
	_, _ = rw.Write(w.reply)
	rw.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
}

// messages returns what was in the bodies.
func (w *wire) messages(t *testing.T) (messages [][]byte) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, body := range w.bodies {
		message := body[5:]
		if body[0] == 1 {
			var err error
			if message, err = zstdcodec.Decompress(message); err != nil {
				t.Fatal(err)
			}
		}
		messages = append(messages, message)
	}
	return messages
}

// Whatever a host records, in whatever weeks and with whatever the user agreed
// to: what arrives is what Preview showed, octet for octet, and Sent shows it
// afterwards.
func TestPreviewAndSentAreTheOctetsOfTheWire(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 1))
	categories := []string{"machine", "material", "slice_counts", "print_settings", "technical"}
	for run := range 40 {
		w, address := startWire(t)
		clock := clienttest.NewClock(time.Date(2026, 11, 4, 12, 0, 0, 0, time.UTC))
		cfg := config(t.TempDir(), address)
		cfg.Now = clock.Now
		c := open(t, cfg)
		random.Shuffle(len(categories), func(i, j int) { categories[i], categories[j] = categories[j], categories[i] })
		if err := c.Grant(1, categories[:random.IntN(len(categories)+1)]...); err != nil { // none are all
			t.Fatal(err)
		}
		for range 1 + random.IntN(3) {
			for range random.IntN(250) {
				s, u := &telemetryv1.Slice{}, &telemetryv1.UsageCounters{}
				fill(random, s.ProtoReflect())
				fill(random, u.ProtoReflect())
				c.Record(s)
				if random.IntN(4) == 0 {
					c.Count(u)
				}
			}
			if _, err := c.Preview(); err != nil {
				t.Fatal(err)
			}
			clock.Add(time.Duration(random.IntN(8)) * 24 * time.Hour)
		}
		preview, err := c.Preview()
		if err != nil {
			t.Fatal(err)
		}
		earlier := len(w.messages(t)) // by the client itself, where the clock jumped past its time
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		sent, err := c.Sent()
		if err != nil {
			t.Fatal(err)
		}
		arrived := w.messages(t)
		if len(arrived) != earlier+len(preview) || len(arrived) != len(sent) {
			t.Fatalf("run %d: %d and %d previewed, %d arrived, %d kept as sent", run, earlier, len(preview), len(arrived), len(sent))
		}
		for _, message := range arrived[earlier:] {
			same := func(r client.Request) bool { return bytes.Equal(r.Octets, message) }
			shown, kept := slices.ContainsFunc(preview, same), slices.ContainsFunc(sent, same)
			if !shown || !kept {
				t.Errorf("run %d: a request arrived that Preview showed %t, Sent shows %t", run, shown, kept)
			}
		}
	}
}

// fill sets some fields to anything: names from the catalogue and others,
// numbers of every size, values of an enum that there are and that there are not.
func fill(random *rand.Rand, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case random.IntN(3) == 0:
		case f.IsList():
			list := m.Mutable(f).List()
			for range random.IntN(5) {
				if f.Message() != nil {
					element := list.NewElement()
					fill(random, element.Message())
					list.Append(element)
				} else {
					list.Append(anything(random, f))
				}
			}
		default:
			m.Set(f, anything(random, f))
		}
	}
}

func anything(random *rand.Rand, f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(random.IntN(f.Enum().Values().Len() + 2)))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(random.Uint32() >> random.IntN(32))
	}
	names := slices.Concat(catalog.Values("setting"), []string{"ultimaker_s5", "PLA", "cura", "alice's own", ""})
	return protoreflect.ValueOfString(names[random.IntN(len(names))])
}
