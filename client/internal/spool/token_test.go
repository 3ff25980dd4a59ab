package spool

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/slicemetry/slicemetry/internal/period"
)

func TestTokensLiveForTheirWeek(t *testing.T) {
	dir := t.TempDir()
	clock := now
	s := Open(dir, func() time.Time { return clock })
	token := func(p period.Period) []byte {
		lease, err := s.Lease()
		if err != nil {
			t.Fatal(err)
		}
		defer lease.Release()
		b, err := lease.Token(p)
		if err != nil || len(b) != 16 {
			t.Fatalf("Token() = %x, %v", b, err)
		}
		return b
	}
	first, other := token(week), token(week.Next())
	if !bytes.Equal(first, token(week)) || bytes.Equal(first, other) {
		t.Error("a week has one token, of its own")
	}
	clock = week.End().Add(period.Retention)
	if bytes.Equal(first, token(week)) {
		t.Error("the token is still known 30 days after its week")
	}
	if !bytes.Equal(other, token(week.Next())) {
		t.Error("the next week's token is gone early")
	}
}

// A token that is damaged in any way is counted, and nothing of its week is sent
// any more: neither what may have been sent with it, nor what comes after it as
// another unit. Another week does not suffer.
func TestDamagedTokenEndsItsWeek(t *testing.T) {
	first := open(t, t.TempDir())
	token := drawn(t, first, week)
	good, err := os.ReadFile(first.tokenPath(week))
	if err != nil || !bytes.HasPrefix(good, token) {
		t.Fatalf("%v: the file does not hold the token", err)
	}
	damaged := [][]byte{append(bytes.Clone(good), 0)}
	for cut := range good {
		damaged = append(damaged, good[:cut])
	}
	for bit := range 8 * len(good) {
		b := bytes.Clone(good)
		b[bit/8] ^= 1 << (bit % 8)
		damaged = append(damaged, b)
	}
	for _, b := range damaged {
		s := open(t, t.TempDir())
		appendAll(t, s, week, "may have been sent", "and this")
		appendAll(t, s, week.Next(), "next week's")
		if err := os.WriteFile(s.tokenPath(week), b, 0o600); err != nil {
			t.Fatal(err)
		}
		assertWeekEnded(t, s, 1+2)
		if batches := sealed(t, s); len(batches) != 1 || batches[0].Period != uint32(week.Next()) {
			t.Fatalf("with the token %x %d batches are sent, want the next week's", b, len(batches))
		}
		appendAll(t, s, week, "recorded afterwards")
		assertWeekEnded(t, s, 1+3)
	}
}

func assertWeekEnded(t *testing.T, s *Spool, lost int) {
	t.Helper()
	lease, err := s.Lease()
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	if token, err := lease.Token(week); !errors.Is(err, ErrDamaged) {
		t.Fatalf("Token() = %x, %v, want ErrDamaged", token, err)
	}
	for _, b := range lease.Batches() {
		if b.Period == uint32(week) {
			t.Fatal("the week is sent")
		}
	}
	if s.HeldToken(week) != nil || slices.Contains(s.HeldTokens(), week) || s.Lost().Damaged != lost {
		t.Fatalf("HeldToken() = %x, lost %+v, want none and %d damaged", s.HeldToken(week), s.Lost(), lost)
	}
}

func drawn(t testing.TB, s *Spool, p period.Period) []byte {
	t.Helper()
	lease, err := s.Lease()
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	token, err := lease.Token(p)
	if err != nil || len(token) != tokenBytes {
		t.Fatalf("Token() = %x, %v", token, err)
	}
	return token
}

// What is forgotten of a week is all that is named after it, and what another
// version wrote; other weeks stay.
func TestForget(t *testing.T) {
	s := open(t, t.TempDir())
	appendAll(t, s, week.Next(), "stays")
	appendAll(t, s, week, "goes")
	writeNewer(t, s, "0000"+batchSuffix)
	drawn(t, s, week.Next())
	drawn(t, s, week)
	writeFile(t, s, week.String()+".draw", "")
	lease, err := s.Lease()
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	if err := lease.Forget(week); err != nil {
		t.Fatal(err)
	}
	if got := names(s); len(got) != 2 || !slices.Contains(got, week.Next().String()+tokenSuffix) {
		t.Errorf("there are %q, want the next week's batch and token", got)
	}
}
