package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// State is what the user decided.
type State string

// The states. Only Granted records anything.
const (
	Unknown State = "unknown"
	Refused State = "refused"
	Granted State = "granted"
)

// Consent is the decision in force and the rule that made it.
type Consent struct {
	State         State     `json:"state"`
	PolicyVersion uint32    `json:"policy_version,omitempty"` // that the user agreed to
	Date          time.Time `json:"date,omitzero"`            // of the decision, a day
	Rule          string    `json:"rule"`                     // what decided: "user", "environment: DO_NOT_TRACK", ...
}

// record is the file in which a decision is kept. Format 1; a file of a later
// format is a refusal to this version.
type record struct {
	Format        int    `json:"format"`
	State         State  `json:"state"`
	PolicyVersion uint32 `json:"policy_version,omitempty"`
	Date          string `json:"date"`
}

const (
	recordFormat = 1
	recordFile   = "consent.json"
)

// optOuts are environment variables, each with what it must say to switch
// recording off: whatever the user decided, they win.
var optOuts = []struct {
	name string
	off  func(value string) bool
}{
	{"DO_NOT_TRACK", func(v string) bool { return v != "" && v != "0" }},
	{"SLICEMETRY", func(v string) bool { return v == "off" }},
	{"CI", func(v string) bool { return v != "" && v != "false" && v != "0" }},
}

// decide applies the rules in their order: the environment beats the user.
func decide(cfg *Config) Consent {
	for _, o := range optOuts {
		if o.off(cfg.Getenv(o.name)) {
			return Consent{State: Refused, Rule: "environment: " + o.name}
		}
	}
	c := read(filepath.Join(cfg.Dir, recordFile))
	if c.State == Granted && c.PolicyVersion < cfg.PolicyVersion {
		c.State, c.Rule = Unknown, fmt.Sprintf("policy version %d has not been agreed to", cfg.PolicyVersion)
	}
	return c
}

// read reads a decision. Whatever cannot be understood counts as a refusal.
func read(path string) Consent {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Consent{State: Unknown, Rule: "no decision yet"}
	}
	refused := Consent{State: Refused, Rule: "the record cannot be read"}
	if err != nil {
		return refused
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil || r.Format != recordFormat {
		return refused
	}
	date, err := time.Parse(time.DateOnly, r.Date)
	if err != nil || r.State != Granted && r.State != Refused || r.State == Granted && r.PolicyVersion == 0 {
		return refused
	}
	return Consent{State: r.State, PolicyVersion: r.PolicyVersion, Date: date, Rule: "user"}
}

// write keeps a decision, durably, as a whole or not at all.
func write(dir string, r record) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, recordFile), data)
}

// replaceFile writes a private file as a whole or not at all.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Consent returns the decision in force and the rule that made it.
func (c *Client) Consent() Consent { return decide(&c.cfg) }

// Grant notes that the user agreed, today, to a version of the policy. It is
// called after an act of the user's and nothing else. Where it returns an error,
// nothing was agreed.
func (c *Client) Grant(policyVersion uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := record{Format: recordFormat, State: Granted, PolicyVersion: policyVersion, Date: c.cfg.Now().UTC().Format(time.DateOnly)}
	if err := write(c.cfg.Dir, r); err != nil {
		return fmt.Errorf("client: grant: %w", err)
	}
	c.apply()
	return nil
}

// Refuse notes that the user does not agree, or no longer, and removes all that
// was kept before it returns. It stays refused even where removing fails.
func (c *Client) Refuse() error {
	c.on.Store(false)
	err := c.noteRefusal()
	// An upload under way ends now: after the record was written no other begins.
	if abort := c.abort.Load(); abort != nil {
		(*abort)()
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if err := errors.Join(err, c.spool.Purge(), c.removeSchedule()); err != nil {
		return fmt.Errorf("client: refuse: %w", err)
	}
	return nil
}

// noteRefusal writes the decision and ends the goroutines. It comes before the
// removal: a crash after it leaves files that are never sent; a crash before it
// leaves everything as it was.
func (c *Client) noteRefusal() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := record{Format: recordFormat, State: Refused, Date: c.cfg.Now().UTC().Format(time.DateOnly)}
	err := write(c.cfg.Dir, r)
	c.apply()
	return err
}
