package publish

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/slicemetry/slicemetry/aggregator/internal/release"
)

// noised makes rows as a release does, of numbers that carry noise already, with
// intervals of half on either side.
func noised(half int64, raw ...int64) []release.Row {
	rows := make([]release.Row, len(raw))
	for i, v := range raw {
		rows[i] = release.Row{Cell: i, Raw: v, Value: max(0, v), Low: max(0, v-half), High: max(0, v+half), Status: release.OK}
		if v < 2*half {
			rows[i].Status = release.LowConfidence
		}
	}
	return rows
}

func TestTidy(t *testing.T) {
	tests := []struct {
		name      string
		half      int64
		raw, want []int64
	}{
		{"nothing", 10, nil, []int64{}},
		{"clear numbers stay", 10, []int64{100, 50}, []int64{100, 50}},
		{"noise around nothing goes", 10, []int64{100, 5, -7, 3, -4}, []int64{100, 0, 0, 0, 0}},
		{"a tail keeps its sum", 10, []int64{100, 9, 8, -3}, []int64{100, 8, 6, 0}},
		{"what is left goes to the first", 10, []int64{9, 9, 9, -2}, []int64{9, 8, 8, 0}},
		{"no row leaves its interval", 10, []int64{18, -9, -9, -9}, []int64{8, 0, 0, 0}},
		{"one negative number", 10, []int64{-5}, []int64{0}},
		{"only noise", 10, []int64{-5, -6, -7}, []int64{0, 0, 0}},
	}
	for _, tt := range tests {
		if got := Tidy(noised(tt.half, tt.raw...)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v becomes %v, want %v", tt.name, tt.raw, got, tt.want)
		}
	}
}

// Of any numbers: no value is negative or outside of its interval or above its
// unbiased number, clear ones are those, the order is kept, and the total is the
// unbiased one unless the intervals or zero forbid it, and never further from it
// than without.
func TestTidyProperties(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	for range 2000 {
		half := 1 + random.Int64N(60)
		raw := make([]int64, 1+random.IntN(80))
		var total, cut int64
		for i := range raw {
			raw[i] = int64(random.NormFloat64()*float64(half)/1.96) + random.Int64N(4)*random.Int64N(half+1)
			total += raw[i]
			cut += max(0, raw[i])
		}
		rows := noised(half, raw...)
		got := Tidy(rows)
		var sum int64
		atLowest := true
		for i, v := range got {
			sum += v
			if v < rows[i].Low || v > max(0, raw[i]) || rows[i].Status == release.OK && v != raw[i] {
				t.Fatalf("row %d is %+v and becomes %d", i, rows[i], v)
			}
			if rows[i].Status != release.OK && v > rows[i].Low {
				atLowest = false
			}
			for j := range i {
				if raw[j] < raw[i] && got[j] > got[i]+1 || raw[j] > raw[i] && got[j]+1 < got[i] {
					t.Fatalf("%d and %d become %d and %d", raw[j], raw[i], got[j], got[i])
				}
			}
		}
		if sum != total && !atLowest || sum > cut || sum < total {
			t.Fatalf("%v becomes %v: the total is %d, want %d", raw, got, sum, total)
		}
	}
}
