package client

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/slicemetry/slicemetry/client/internal/durable"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
)

// said is what the collector said last. It outlives the process.
type said struct {
	Policy      uint32    `json:"policy,omitempty"` // version in force
	Notice      Notice    `json:"notice,omitzero"`
	PausedUntil time.Time `json:"paused_until,omitzero"`
}

// Notice announces a version of the privacy policy, to be shown to the user.
type Notice struct {
	Version   uint32    `json:"version"`
	Effective time.Time `json:"effective"` // first day in force
}

const (
	saidFile = "collector.json"
	// longestPause bounds what a collector can ask for.
	longestPause = 30 * 24 * time.Hour
	day          = 24 * time.Hour
)

// loadSaid reads what the collector said; the zero value where there is nothing.
func loadSaid(dir string) said {
	var s said
	data, err := os.ReadFile(filepath.Join(dir, saidFile))
	if err != nil || json.Unmarshal(data, &s) != nil {
		return said{}
	}
	return s
}

// inForce returns the version of the policy that holds at a time.
func (s said) inForce(now time.Time) uint32 {
	if s.Notice.Version > s.Policy && !now.Before(s.Notice.Effective) {
		return s.Notice.Version
	}
	return s.Policy
}

// newest returns the latest version of the policy that was spoken of.
func (s said) newest() uint32 { return max(s.Policy, s.Notice.Version) }

// paused reports whether the collector's wish to pause holds at a time. One that
// ends later than any may was noted while the clock was wrong. A day more, for
// clocks that are set right by a little.
func (s said) paused(now time.Time) bool {
	return s.PausedUntil.After(now) && !s.PausedUntil.After(now.Add(longestPause+day))
}

// listen notes what a reply says, where it is news.
func (c *Client) listen(reply *collectorv1.UploadResponse) {
	before := loadSaid(c.cfg.Dir)
	now := said{Policy: reply.GetPolicyVersion()}
	if next := reply.GetNext(); next != nil {
		now.Notice = Notice{Version: next.GetVersion(), Effective: time.Unix(int64(next.GetEffective())*int64(day/time.Second), 0).UTC()}
	}
	if pause := time.Duration(reply.GetPauseSeconds()) * time.Second; pause > 0 {
		now.PausedUntil = c.cfg.Now().Add(min(pause, longestPause)).UTC()
	}
	if now == before {
		return
	}
	data, err := json.Marshal(now)
	if err == nil {
		err = durable.Replace(filepath.Join(c.cfg.Dir, saidFile), data)
	}
	if err != nil {
		c.cfg.Logger.Warn("what the collector said is not kept", "error", err)
	}
}
