package period

import (
	"errors"
	"testing"
	"time"
)

func TestOf(t *testing.T) {
	tests := []struct {
		at   string
		want string
	}{
		{"2026-11-23T00:00:00Z", "2026-W48"},
		{"2026-11-22T23:59:59Z", "2026-W47"},
		{"2026-01-01T12:00:00Z", "2026-W01"},
		{"2027-01-03T12:00:00Z", "2026-W53"},
		{"2024-12-31T12:00:00+14:00", "2025-W01"},
		{"1970-01-05T00:00:00Z", "1970-W02"},
		{"1969-06-01T00:00:00Z", "1970-W02"},
	}
	for _, tt := range tests {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		got := Of(at)
		if got.String() != tt.want {
			t.Errorf("Of(%s) = %s, want %s", tt.at, got, tt.want)
		}
		if !got.Valid() || got.Start().Weekday() != time.Monday {
			t.Errorf("Of(%s) = %d is not a Monday", tt.at, got)
		}
	}
}

// Every hour of twelve years lies in exactly one period, whose name parses back.
func TestEveryHourLiesInItsPeriod(t *testing.T) {
	end := time.Date(2032, 1, 10, 0, 0, 0, 0, time.UTC)
	for at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC); at.Before(end); at = at.Add(time.Hour) {
		p := Of(at)
		if at.Before(p.Start()) || !at.Before(p.End()) {
			t.Fatalf("%s is outside of its period %s [%s, %s)", at, p, p.Start(), p.End())
		}
		back, err := Parse(p.String())
		if err != nil || back != p {
			t.Fatalf("Parse(%s) = %d, %v, want %d", p, back, err, p)
		}
	}
}

func TestNeighbours(t *testing.T) {
	p := Of(time.Date(2026, 12, 30, 0, 0, 0, 0, time.UTC))
	if got := p.Next().String(); got != "2027-W01" {
		t.Errorf("Next() = %s, want 2027-W01", got)
	}
	if got := p.Next().Previous(); got != p {
		t.Errorf("Next().Previous() = %s, want %s", got, p)
	}
	if p.End() != p.Next().Start() {
		t.Errorf("End() = %s, want the start of the next period %s", p.End(), p.Next().Start())
	}
}

func TestExpired(t *testing.T) {
	p := Of(time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC))
	last := p.End().Add(Retention)
	if p.Expired(last.Add(-time.Second)) {
		t.Error("expired a second early")
	}
	if !p.Expired(last) {
		t.Error("not expired on time")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{"", "2026-W00", "2026-W54", "2025-W53", "2026W47", "2026-W7", "2026-W47x", "w"} {
		if p, err := Parse(s); !errors.Is(err, ErrSyntax) {
			t.Errorf("Parse(%q) = %v, %v, want ErrSyntax", s, p, err)
		}
	}
}

func TestValid(t *testing.T) {
	for p := range Period(100) {
		if want := p.Start().Weekday() == time.Monday; p.Valid() != want {
			t.Errorf("Period(%d).Valid() = %t, want %t", p, p.Valid(), want)
		}
	}
}

// The years are those of ISO 8601: every week is in one, 71 of 400 have 53.
func TestYears(t *testing.T) {
	if p, err := Parse("2025-W01"); err != nil || p.Year() != 2025 || p.Start().Year() != 2024 {
		t.Errorf("%s begins on %s and is of %d, %v", p, p.Start(), p.Year(), err)
	}
	long := 0
	for year := 1971; year < 2371; year++ {
		first, last := YearOf(year)
		if first.Year() != year || last.Year() != year || first.Previous().Year() != year-1 || last.Next().Year() != year+1 {
			t.Fatalf("%d goes from %s to %s", year, first, last)
		}
		if last-first == 52*week {
			long++
		} else if last-first != 51*week {
			t.Errorf("%d goes from %s to %s", year, first, last)
		}
	}
	if long != 71 {
		t.Errorf("%d of 400 years have 53 weeks, want 71", long)
	}
}
