// Package period names the stretch of time that a unit token lives for: the ISO
// week, Monday to Sunday, UTC. Nothing finer is ever sent or stored.
//
// A Period is the day number of its Monday, days since 1970-01-01, which is also
// how it travels (telemetry.v1.Batch.period) and how ClickHouse keeps it (Date).
package period

import (
	"errors"
	"fmt"
	"time"
)

// Retention is how long after its end anything that can be linked within a
// period (raw rows, pseudonym keys, unit tokens, unsent batches) may still exist.
// Thirty days is the erasure deadline of the policy: with it, data is gone in
// time even when nobody can ask for it any more.
const Retention = 30 * 24 * time.Hour

const (
	day  = 24 * time.Hour
	week = 7
	// firstMonday is 1970-01-05: days since the epoch of the first whole week.
	firstMonday = 4
)

// ErrSyntax says that a text is not of the form 2026-W47.
var ErrSyntax = errors.New("period: want an ISO week such as 2026-W47")

// Period is an ISO week: the days since 1970-01-01 of its Monday.
type Period uint32

// Of returns the period that holds t.
func Of(t time.Time) Period {
	days := floorDiv(t.Unix(), int64(day/time.Second))
	monday := floorDiv(days-firstMonday, week)*week + firstMonday
	if monday < firstMonday {
		return firstMonday // a clock before 1970 is broken; the earliest week is as good a name as any
	}
	return Period(monday)
}

// Valid reports whether p is a Monday.
func (p Period) Valid() bool { return p >= firstMonday && (p-firstMonday)%week == 0 }

// Start returns the first instant of the period.
func (p Period) Start() time.Time { return time.Unix(int64(p)*int64(day/time.Second), 0).UTC() }

// End returns the first instant after the period.
func (p Period) End() time.Time { return p.Start().AddDate(0, 0, week) }

// Next returns the period after p.
func (p Period) Next() Period { return p + week }

// Previous returns the period before p.
func (p Period) Previous() Period { return p - week }

// Expired reports whether everything linkable of the period must be gone at now.
func (p Period) Expired(now time.Time) bool { return !now.Before(p.End().Add(Retention)) }

// String returns the ISO 8601 name, such as "2026-W47".
func (p Period) String() string {
	year, number := p.Start().ISOWeek()
	return fmt.Sprintf("%04d-W%02d", year, number)
}

// Year returns the ISO year of the period, which is that of its Thursday: the first
// days of January may belong to the year before, and the last of December to the next.
func (p Period) Year() int {
	year, _ := p.Start().ISOWeek()
	return year
}

// YearOf returns the first and the last period of an ISO year: 52 or 53 of them.
func YearOf(year int) (first, last Period) { return firstOf(year), firstOf(year + 1).Previous() }

// firstOf returns week 1 of a year, which always holds the 4th of January (ISO
// 8601, 3.1.1.23).
func firstOf(year int) Period { return Of(time.Date(year, time.January, 4, 0, 0, 0, 0, time.UTC)) }

// Parse reads what String writes.
func Parse(s string) (Period, error) {
	var year, number int
	if n, err := fmt.Sscanf(s, "%4d-W%2d", &year, &number); err != nil || n != 2 {
		return 0, fmt.Errorf("%w, got %q", ErrSyntax, s)
	}
	p := firstOf(year) + Period(week*(number-1))
	if number < 1 || p.String() != s {
		return 0, fmt.Errorf("%w, got %q", ErrSyntax, s)
	}
	return p, nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
