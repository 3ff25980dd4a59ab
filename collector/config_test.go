package collector_test

import (
	"strings"
	"testing"

	"github.com/slicemetry/slicemetry/collector"
)

// While all inserters are busy a block grows to max-pending, and ClickHouse has to be able
// to store it whole.
func TestMaxPendingIsABlock(t *testing.T) {
	for rows, want := range map[int]bool{50_000: true, 1_048_576: true, 49_999: false, 1_048_577: false} {
		cfg := collector.DefaultConfig()
		cfg.FlushRows, cfg.MaxPending = 50_000, rows
		if got := !strings.Contains(cfg.Validate().Error(), "max-pending: "); got != want {
			t.Errorf("max-pending of %d is taken: %t, want %t", rows, got, want)
		}
	}
}
