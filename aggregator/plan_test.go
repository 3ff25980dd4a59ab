package aggregator

import (
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	for name, c := range map[string]Config{
		"epsilon": {Epsilon: -1}, "delta": {Delta: 2}, "grace": {Grace: -time.Hour}, "margin": {Margin: -time.Hour},
	} {
		if _, err := Plan(c); err == nil {
			t.Errorf("a wrong %s made a plan", name)
		}
	}
	if o, err := Plan(Config{}); err != nil || o.Epsilon != 1 || o.Delta != 1e-8 {
		t.Errorf("the default plan is (%g, %g), %v, want (1, 1e-8)", o.Epsilon, o.Delta, err)
	}
}
