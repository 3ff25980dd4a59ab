package rules

import "google.golang.org/protobuf/encoding/protowire"

// closeMessage puts the length of a nested message, which begins at start, into
// the one octet that was left for it, or makes room for more of them.
func closeMessage(b []byte, start int) []byte {
	n := len(b) - start
	if n < 1<<7 {
		b[start-1] = byte(n)
		return b
	}
	more := protowire.SizeVarint(uint64(n)) - 1
	b = append(b, make([]byte, more)...)
	copy(b[start+more:], b[start:start+n])
	protowire.AppendVarint(b[:start-1], uint64(n))
	return b
}
