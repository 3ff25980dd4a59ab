package collector_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// Of what could say who somebody is, wherever a text can be sent, not six octets in a row
// are in a row, the log, a metric or a status.
func TestNoIdentifierIsKept(t *testing.T) {
	identifiers := []string{ // without six octets that could be a number's, or any name's
		"zq7.vernholt@mailbox-9k.example",
		"02:4e:7b:c9:d1:5f",
		"UM5S-0K93-77QX-21",
		`C:\Users\vernholt\Desktop\zahnrad-q7.stl`,
		"/home/vernholt/drucke/zahnrad-q7.gcode",
		"10.7.9.41",
		"fd7a:11e0:9c::41f3",
		"7c9e66b9-74f5-40de-944b-e07fc1f90afd",
		"vernholt-laptop.fritz.box",
	}
	r := start(t, nil)
	client := r.client(t)
	q := request(0)
	for _, text := range identifiers {
		for _, sent := range []string{text, "ultimaker_s5 " + text, text + "\x00PLA"} {
			slice := &telemetryv1.Slice{}
			if fillTexts(slice.ProtoReflect(), sent) < 8 {
				t.Fatal("there are texts that are not filled")
			}
			q.Batch.Slices = append(q.Batch.Slices, slice)
		}
	}
	said := ""
	for _, tt := range []struct {
		change func(*telemetryv1.Batch)
		taken  bool
	}{
		{func(*telemetryv1.Batch) {}, true},
		{func(b *telemetryv1.Batch) { b.PolicyVersion = 9 }, false},
		{func(b *telemetryv1.Batch) { b.PolicyVersion, b.BatchId = 1, []byte(identifiers[0]) }, false},
	} {
		tt.change(q.Batch)
		_, err := client.Upload(t.Context(), q)
		if (err == nil) != tt.taken {
			t.Fatalf("%v, want it taken: %t", err, tt.taken)
		}
		if err != nil {
			said += err.Error() + "\n"
		}
	}
	if _, err := client.Erase(t.Context(), &collectorv1.EraseRequest{UnitToken: []byte(identifiers[0]), Period: q.Batch.Period}); err == nil {
		t.Error("an identifier is taken for a token")
	} else {
		said += err.Error()
	}
	for place, text := range map[string]string{"rows": r.dump(t), "log": r.log.String(), "metrics": r.get(t, "/metrics"), "status": said} {
		text = strings.ToLower(text)
		for _, identifier := range identifiers {
			for i := range len(identifier) - 5 {
				if run := strings.ToLower(identifier[i : i+6]); strings.Contains(text, run) {
					t.Errorf("%q, of %q, is in the %s", run, identifier, place)
				}
			}
		}
	}
	if n := r.rows(t); n != uint64(len(q.Batch.Slices)) {
		t.Errorf("%d rows, want %d", n, len(q.Batch.Slices))
	}
	r.balanced(t)
}

// fillTexts writes a text into every field that takes one, and returns how many there are.
func fillTexts(m protoreflect.Message, text string) (n int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		switch {
		case fd.IsList() && fd.Message() != nil:
			n += fillTexts(m.Mutable(fd).List().AppendMutable().Message(), text)
		case fd.IsList() && fd.Kind() == protoreflect.StringKind:
			m.Mutable(fd).List().Append(protoreflect.ValueOfString(text))
			n++
		case fd.Kind() == protoreflect.StringKind:
			m.Set(fd, protoreflect.ValueOfString(text))
			n++
		}
	}
	return n
}
