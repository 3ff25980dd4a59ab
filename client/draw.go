package client

import (
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// draws are this installation's draws of the weeks that an event may be of now,
// read from the disk before, so that Record need not.
type draws [2]struct {
	week  period.Period
	draw  rules.Draw
	known bool
}

// of returns a week's draw. Of a week without one, no changed setting is shown.
func (d *draws) of(week period.Period) (draw rules.Draw, known bool) {
	if d == nil {
		return 0, false
	}
	for _, w := range d {
		if w.week == week && w.known {
			return w.draw, true
		}
	}
	return 0, false
}

// loadDraws reads the draws of this week and the next. The user has agreed.
func (c *Client) loadDraws() *draws {
	var d draws
	for i, week := 0, period.Of(c.cfg.Now()); i < len(d); i, week = i+1, week.Next() {
		draw, err := c.spool.Draw(week)
		d[i].week, d[i].draw, d[i].known = week, rules.Draw(draw), err == nil
	}
	c.draws.Store(&d)
	return &d
}
