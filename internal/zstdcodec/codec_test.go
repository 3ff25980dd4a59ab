package zstdcodec

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Clients that were released need the dictionary that they compress with. It may
// be joined by others, with other numbers, and never changes.
func TestDictionaryStays(t *testing.T) {
	const released = "72b6b947b35cdc12b37900c3879b87b4b257c7ec0b4670fb44d98b8787bc3e3d"
	if sum := sha256.Sum256(dictionary); hex.EncodeToString(sum[:]) != released {
		t.Errorf("dictionary.bin is another one: %x", sum)
	}
	var header zstd.Header
	if err := header.Decode(AppendCompressed(nil, []byte("message"))); err != nil || header.DictionaryID != 1 {
		t.Errorf("a frame needs dictionary %d, %v, want 1", header.DictionaryID, err)
	}
}

// Names that every batch has are in the dictionary.
func TestDictionaryHelps(t *testing.T) {
	const message = "ultimaker_s5 Generic PLA infill_sparse_density wall_0_extruder_nr raft_interface_thickness prusaslicer"
	if n := len(AppendCompressed(nil, []byte(message))); n > len(message)*3/4 {
		t.Errorf("%d octets become %d", len(message), n)
	}
}

// What other programs compress, without a dictionary, is read too.
func TestWithoutDictionary(t *testing.T) {
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	want := []byte(strings.Repeat("prime tower ", 100))
	if got, err := Decompress(e.EncodeAll(want, nil)); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d octets come back as %d, %v", len(want), len(got), err)
	}
}
