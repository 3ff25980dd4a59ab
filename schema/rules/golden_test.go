package rules

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
)

// Requests as slicers in the field send them, octet for octet, and what they mean.
// They lie in spools for weeks and come from versions that nobody updates: what a
// file here says holds for ever. A new field gets a new file.
func TestGoldenRequests(t *testing.T) {
	paths, err := filepath.Glob("testdata/request-*.hex")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d requests, %v", len(paths), err)
	}
	for _, path := range paths {
		octets, want := golden(t, path)
		assertDecodesAlike(t, &Decoder{}, octets)
		var got collectorv1.UploadRequest
		if err := proto.Unmarshal(octets, &got); err != nil || !proto.Equal(&got, want) {
			t.Errorf("%s: %v reads as %v, want %v", path, err, &got, want)
		}
		for i, s := range want.Batch.Slices {
			if encoded := AppendSlice(nil, s); !strings.Contains(string(octets), string(encoded)) {
				t.Errorf("%s: slice %d is encoded differently now: %x", path, i+1, encoded)
			}
		}
	}
	_, newest := golden(t, paths[len(paths)-1])
	if missing := unset(newest.ProtoReflect()); len(missing) > 0 {
		t.Errorf("%s has no %s: add a request that has", paths[len(paths)-1], strings.Join(missing, ", "))
	}
}

// golden reads a request and what it means.
func golden(t *testing.T, path string) ([]byte, *collectorv1.UploadRequest) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	octets, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	meaning, err := os.ReadFile(strings.TrimSuffix(path, ".hex") + ".json")
	if err != nil {
		t.Fatal(err)
	}
	want := &collectorv1.UploadRequest{}
	if err := protojson.Unmarshal(meaning, want); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return octets, want
}

// unset lists the fields that a message has not got, and those of its messages.
func unset(m protoreflect.Message) (missing []string) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case !m.Has(f):
			missing = append(missing, string(f.FullName()))
		case f.Message() != nil && f.IsList():
			missing = append(missing, unset(m.Get(f).List().Get(0).Message())...)
		case f.Message() != nil:
			missing = append(missing, unset(m.Get(f).Message())...)
		}
	}
	return missing
}
