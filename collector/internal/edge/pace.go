package edge

import "time"

// pace is a token bucket. It belongs to the goroutine that accepts.
type pace struct {
	rate   float64 // tokens a second; 0 or less: no limit
	tokens float64
	at     time.Time
}

func newPace(rate float64) pace {
	return pace{rate: rate, tokens: rate, at: time.Now()}
}

// wait takes a token, and reports false where done ended the wait for one.
func (p *pace) wait(done <-chan struct{}) bool {
	if p.rate <= 0 {
		return true
	}
	now := time.Now()
	p.tokens = min(max(p.rate, 1), p.tokens+now.Sub(p.at).Seconds()*p.rate)
	p.at = now
	p.tokens--
	if p.tokens >= 0 {
		return true
	}
	timer := time.NewTimer(time.Duration(-p.tokens / p.rate * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	}
}
