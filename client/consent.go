package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/slicemetry/slicemetry/client/internal/durable"
	"github.com/slicemetry/slicemetry/client/internal/spool"
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
	unfinished bool // record.TakesBack
}

// record is the file in which a decision is kept. Format 1; a file of a later
// format is a refusal to this version.
type record struct {
	Format        int      `json:"format"`
	State         State    `json:"state"`
	PolicyVersion uint32   `json:"policy_version,omitempty"`
	Categories    []string `json:"categories,omitempty"` // all by name: what is added later was not agreed to
	Date          string   `json:"date"`
	// TakesBack says that what was recorded before is still to be removed: the user
	// agreed to more then.
	TakesBack bool `json:"takes_back,omitempty"`
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
	{"SLICEMETRY", func(v string) bool { return v != "" && v != "on" }},
	{"CI", func(v string) bool { return v != "" && v != "false" && v != "0" }},
}

// telemetry is set by who builds a program that must never send anything, such as a
// distribution: -ldflags "-X github.com/slicemetry/slicemetry/client.telemetry=off".
// Whatever it is set to means off, as with the system's file.
var telemetry string

// decide applies the rules in their order: the build, the system's file, the environment,
// the user, the policy in force, the collector's wish to pause. Each can only
// take away what the one after it would allow.
func decide(cfg *Config) Consent {
	if telemetry != "" {
		return Consent{State: Refused, Rule: "build: telemetry=" + telemetry}
	}
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
	} else if said.paused(now) {
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
		return Consent{State: Unknown, Rule: ruleNone}
	}
	if err == nil && len(data) == 0 {
		return Consent{State: Refused, Rule: ruleUser} // as overwrite leaves it
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
	if err != nil || r.State != Granted && r.State != Refused || r.State == Granted && (r.PolicyVersion == 0 || len(r.Categories) == 0) {
		return refused
	}
	c := Consent{State: r.State, PolicyVersion: r.PolicyVersion, Date: date, Rule: ruleUser}
	if r.State == Granted {
		if c.categories, err = rules.ParseCategories(r.Categories); err != nil {
			return refused
		}
		c.Categories = c.categories.Names()
		c.unfinished = r.TakesBack
	}
	return c
}

const (
	ruleUser   = "user"
	ruleNone   = "no decision yet"
	ruleDefect = "a defect: the decision is not known"
)

// decision is the one in force for this process: a yes that a refusal could not
// remove from the disk does not count.
func (c *Client) decision() Consent {
	d := decide(&c.cfg)
	if d.State == Granted && c.withdrawn.Load() {
		return Consent{State: Refused, Rule: ruleUser}
	}
	return d
}

// categories reads the names of kinds of data; none are all that there are today.
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

// Consent returns the decision in force and the rule that made it. From then on
// the client follows it, whichever process noted it.
func (c *Client) Consent() (decision Consent) {
	if c == nil {
		return Consent{State: Unknown, Rule: "no client"}
	}
	decision = Consent{State: Unknown, Rule: ruleDefect} // where it panics
	defer c.survive()
	return c.follow()
}

// Grant notes that the user agreed, today, to a version of the policy and to
// some kinds of data: "machine", "material", "slice_counts", "print_settings",
// "technical"; none given are all that this version knows. It is called after an
// act of the user's and nothing else. Where it returns an error, nothing more was
// agreed to than before. A version that neither the host nor the collector spoke of
// is refused: nobody can have read it.
//
// A user who now agrees to less takes something back: what was not sent yet is
// removed.
func (c *Client) Grant(policyVersion uint32, kinds ...string) (err error) {
	if c == nil {
		return ErrNoClient
	}
	defer c.rescue(&err)
	agreed, err := categories(kinds)
	if latest := max(c.cfg.PolicyVersion, loadSaid(c.cfg.Dir).newest()); err == nil && (policyVersion == 0 || policyVersion > latest) {
		err = fmt.Errorf("there is no policy version %d; the latest is %d", policyVersion, latest)
	}
	if err != nil {
		return fmt.Errorf("client: grant: %w", err)
	}
	// What waits in memory was recorded under the decision before this one.
	c.on.Store(false)
	if err = c.drainQueue(context.Background()); err == nil {
		err = c.noteGrant(record{Format: recordFormat, State: Granted, PolicyVersion: policyVersion, Categories: agreed.Names(), Date: c.today()}, agreed)
	}
	if err == nil {
		err = c.finishTakingBack()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.apply()
	if err != nil {
		return fmt.Errorf("client: grant: %w", err)
	}
	return nil
}

// noteGrant writes the decision. Where it takes something back it says so, until
// that is removed.
func (c *Client) noteGrant(r record, agreed rules.Categories) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := read(filepath.Join(c.cfg.Dir, recordFile))
	r.TakesBack = before.unfinished || before.categories&^agreed != 0
	err := write(c.cfg.Dir, r)
	if err == nil {
		c.withdrawn.Store(false)
	}
	return err
}

// finishTakingBack removes what waits where a grant took something back, and
// notes that this is done.
func (c *Client) finishTakingBack() error {
	path := filepath.Join(c.cfg.Dir, recordFile)
	if !read(path).unfinished {
		return nil
	}
	defer c.stopSending()()
	c.mu.Lock()
	defer c.mu.Unlock()
	noted, err := os.ReadFile(path)
	if err != nil || !read(path).unfinished {
		return nil // another decision came in between
	}
	if err := c.spool.PurgeWaiting(); err != nil {
		return err
	}
	return finish(path, noted)
}

// finish notes in a decision's own file that what it takes back is removed. Another
// decision is another file: to replace this one would undo a refusal that came
// meanwhile.
func finish(path string, noted []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if now, err := io.ReadAll(f); err != nil || !bytes.Equal(now, noted) {
		return err // another decision's
	}
	done := bytes.Replace(noted, []byte(`"takes_back":true`), []byte(`"takes_back":null`), 1) // as long, so that no crash cuts it
	_, err = f.WriteAt(done, 0)
	return errors.Join(err, f.Sync())
}

// lease takes the right to send. Where a process ended before it removed what a
// grant took back, that is removed first; the next Open notes that it is done.
func (c *Client) lease() (*spool.Lease, error) {
	lease, err := c.spool.Lease()
	if err != nil || !read(filepath.Join(c.cfg.Dir, recordFile)).unfinished {
		return lease, err
	}
	if err := c.spool.PurgeWaiting(); err != nil {
		return nil, errors.Join(err, lease.Release())
	}
	return lease, nil
}

func (c *Client) today() string { return c.cfg.Now().UTC().Format(time.DateOnly) }

// watchEvery is how often an upload looks whether it is still allowed.
const watchEvery = 25 * time.Millisecond

// watch calls abort when another process notes that the user takes something
// back, and ends with ctx.
func (c *Client) watch(ctx context.Context, agreed Consent, abort func()) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	defer c.survive()
	defer abort() // whatever ends this, nothing is sent without it
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if now := c.decision(); now.takesBack(agreed) {
			return
		}
	}
}

// takesBack reports whether a decision allows less than one before it did.
func (c Consent) takesBack(before Consent) bool {
	return c.State != Granted || before.categories&^c.categories != 0
}
