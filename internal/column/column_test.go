package column

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
)

// What is appended is what ClickHouse reads, block after block in the same column:
// nothing, names that meet in a slot, and texts that are equal and not the same.
func TestNames(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var c Names
	for block := range 20 {
		var want []string
		for range random.IntN(500) {
			name := fmt.Sprint("name", random.IntN(1+10*block))
			if random.IntN(5) == 0 {
				name = ""
			}
			want = append(want, name)
			if random.IntN(2) == 0 {
				c.Append(name)
			} else {
				c.AppendOctets([]byte(name))
			}
		}
		if got := read(t, &c); !slices.Equal(got, want) {
			t.Fatalf("block %d: %q, want %q", block, got, want)
		}
		c.Reset()
	}
}

// read decodes a column as a client of ClickHouse does.
func read(t *testing.T, c *Names) []string {
	t.Helper()
	var b proto.Buffer
	c.EncodeState(&b)
	c.EncodeColumn(&b)
	r := proto.NewReader(bytes.NewReader(b.Buf))
	column := new(proto.ColStr).LowCardinality()
	if err := column.DecodeState(r); err != nil {
		t.Fatal(err)
	}
	if err := column.DecodeColumn(r, c.Rows()); err != nil {
		t.Fatal(err)
	}
	var list []string
	for i := range column.Rows() {
		list = append(list, column.Row(i))
	}
	return list
}
