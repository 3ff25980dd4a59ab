package spool

import (
	"bytes"
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
