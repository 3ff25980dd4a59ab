package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/slicemetry/slicemetry/client/internal/durable"
	"github.com/slicemetry/slicemetry/schema/rules"
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
	Categories    []string  `json:"categories,omitempty"`     // kinds of data that the user agreed to
	Date          time.Time `json:"date,omitzero"`            // of the decision, a day
	Rule          string    `json:"rule"`                     // what decided: "user", "environment: DO_NOT_TRACK", ...

	categories rules.Categories
	secret     []byte
}

// record is the file in which a decision is kept. Format 1; a file of a later
// format is a refusal to this version.
type record struct {
	Format        int      `json:"format"`
	State         State    `json:"state"`
	PolicyVersion uint32   `json:"policy_version,omitempty"`
	Categories    []string `json:"categories,omitempty"` // none: all
	Date          string   `json:"date"`
	// Secret never leaves the device. From it comes which of many changed settings
	// are shown, the same ones for a week.
	Secret []byte `json:"secret,omitempty"`
}

const (
	secretBytes  = 16
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

// decide applies the rules in their order: the system's file, the environment,
// the user, the policy in force, the collector's wish to pause. Each can only
// take away what the one after it would allow.
func decide(cfg *Config) Consent {
	if rule := systemRule(cfg.SystemFile); rule != "" {
		return Consent{State: Refused, Rule: rule}
	}
	for _, o := range optOuts {
		if o.off(cfg.Getenv(o.name)) {
			return Consent{State: Refused, Rule: "environment: " + o.name}
		}
	}
	c := read(filepath.Join(cfg.Dir, recordFile))
	if c.State != Granted {
		return c
	}
	said, now := loadSaid(cfg.Dir), cfg.Now()
	if needed := max(cfg.PolicyVersion, said.inForce(now)); c.PolicyVersion < needed {
		c.State, c.Rule = Unknown, fmt.Sprintf("policy version %d has not been agreed to", needed)
	} else if said.PausedUntil.After(now) {
		c.State, c.Rule = Refused, "the collector asks to pause until "+said.PausedUntil.UTC().Format(time.DateOnly)
	}
	return c
}

// systemRule says how an administrator's file decides, "" where it does not. The
// file can switch off; whatever else it holds means off as well, because somebody
// who wrote it wanted something.
func systemRule(path string) string {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	var content struct {
		Telemetry string `json:"telemetry"`
	}
	if err == nil && json.Unmarshal(data, &content) == nil && content.Telemetry == "user" {
		return ""
	}
	return "system file: " + path
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
	c := Consent{State: r.State, PolicyVersion: r.PolicyVersion, Date: date, Rule: ruleUser}
	if r.State == Granted {
		if c.categories, err = categories(r.Categories); err != nil {
			return refused
		}
		c.Categories, c.secret = c.categories.Names(), r.Secret
	}
	return c
}

const ruleUser = "user"

// categories reads the names of kinds of data; none are all.
func categories(names []string) (rules.Categories, error) {
	if len(names) == 0 {
		return rules.AllCategories, nil
	}
	return rules.ParseCategories(names)
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
	return durable.Replace(filepath.Join(dir, recordFile), data)
}

// Consent returns the decision in force and the rule that made it.
func (c *Client) Consent() Consent {
	if c == nil {
		return Consent{State: Unknown, Rule: "no client"}
	}
	return decide(&c.cfg)
}

// Grant notes that the user agreed, today, to a version of the policy and to
// some kinds of data: "machine", "material", "slice_counts", "print_settings",
// "technical"; none given are all. It is called after an act of the user's and
// nothing else. Where it returns an error, nothing was agreed.
//
// A user who now agrees to less takes something back: what was not sent yet is
// removed.
func (c *Client) Grant(policyVersion uint32, kinds ...string) error {
	if c == nil {
		return ErrNoClient
	}
	agreed, err := categories(kinds)
	if err == nil && policyVersion == 0 {
		err = errors.New("there is no policy version 0")
	}
	if err != nil {
		return fmt.Errorf("client: grant: %w", err)
	}
	// What waits in memory was recorded under the decision before this one.
	c.on.Store(false)
	drained := c.drainQueue(context.Background())
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.apply()
	if drained != nil {
		return fmt.Errorf("client: grant: %w", drained)
	}
	before := read(filepath.Join(c.cfg.Dir, recordFile))
	r := record{Format: recordFormat, State: Granted, PolicyVersion: policyVersion, Categories: kinds, Date: c.today(), Secret: before.secret}
	if len(r.Secret) == 0 {
		r.Secret = make([]byte, secretBytes)
		rand.Read(r.Secret)
	}
	if err := write(c.cfg.Dir, r); err != nil {
		return fmt.Errorf("client: grant: %w", err)
	}
	if before.categories&^agreed != 0 {
		err = c.spool.PurgeWaiting()
	}
	if err != nil {
		return fmt.Errorf("client: grant: %w", err)
	}
	return nil
}

func (c *Client) today() string { return c.cfg.Now().UTC().Format(time.DateOnly) }

// Refuse notes that the user does not agree, or no longer, and removes all that
// was kept before it returns. It stays refused even where removing fails; the
// next Open tries again. What the collector holds it keeps for at most 30 days:
// Erase, called first, removes that too.
func (c *Client) Refuse() error {
	if c == nil {
		return ErrNoClient
	}
	c.on.Store(false)
	err := c.noteRefusal()
	// An upload under way ends now: after the record was written no other begins.
	if abort := c.abort.Load(); abort != nil {
		(*abort)()
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if err := errors.Join(err, c.purge()); err != nil {
		return fmt.Errorf("client: refuse: %w", err)
	}
	return nil
}

// noteRefusal writes the decision and ends the goroutines. It comes before the
// removal: a crash after it leaves files that are never sent and that the next
// Open removes; a crash before it leaves everything as it was.
func (c *Client) noteRefusal() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := write(c.cfg.Dir, record{Format: recordFormat, State: Refused, Date: c.today()})
	c.apply()
	return err
}

// purge removes all but the decision.
func (c *Client) purge() error {
	return errors.Join(c.spool.Purge(),
		durable.Remove(filepath.Join(c.cfg.Dir, scheduleFile)), durable.Remove(filepath.Join(c.cfg.Dir, saidFile)))
}

// finishRefusal removes what a refusal left that was cut short by a crash.
func (c *Client) finishRefusal() error {
	decision := read(filepath.Join(c.cfg.Dir, recordFile))
	if decision.State != Refused || decision.Rule != ruleUser {
		return nil
	}
	durable.Sweep(c.cfg.Dir)
	if c.spool.Empty() && !exists(c.cfg.Dir, scheduleFile) && !exists(c.cfg.Dir, saidFile) {
		return nil
	}
	return c.purge()
}

func exists(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return err == nil
}
