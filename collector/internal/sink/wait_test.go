package sink

import (
	"testing"
	"time"
)

// After a slow insert the first of the next block's batches waits for company, but no
// longer than FlushAge.
func TestCompany(t *testing.T) {
	s := &Sink{cfg: Config{FlushAge: 200 * time.Millisecond}}
	for _, tt := range []struct{ took, want time.Duration }{
		{0, 1}, {5, 1}, {80, 10}, {1600, 200}, {1608, 200}, {8000, 200},
	} {
		if got := s.company(insertion{took: tt.took * time.Millisecond}); got != tt.want*time.Millisecond {
			t.Errorf("after an insert of %d ms the first batch waits %s for company, want %d ms", tt.took, got, tt.want)
		}
	}
}
