package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/slicemetry/slicemetry/client/internal/durable"
	"github.com/slicemetry/slicemetry/client/internal/spool"
)

// Refuse notes that the user does not agree, or no longer, and removes all that
// was kept before it returns. It stays refused even where removing fails; the
// next Open tries again. On an error a yes or some of what was kept may still be
// on the disk; this client follows the refusal all the same. What the collector
// holds it keeps for at most 30 days: Erase, called first, removes that too.
func (c *Client) Refuse() (err error) {
	if c == nil {
		return ErrNoClient
	}
	defer c.rescue(&err)
	c.on.Store(false)
	noted := c.noteRefusal()
	// After the record was written no other upload begins.
	defer c.stopSending()()
	purged := c.purge()
	// What was removed made room; and where no file can be replaced, as one that is
	// open on Windows, another process may have written over this decision.
	if noted != nil || read(filepath.Join(c.cfg.Dir, recordFile)).State == Granted {
		noted = c.noteRefusal()
	}
	if err := errors.Join(noted, purged); err != nil {
		return fmt.Errorf("client: refuse: %w", err)
	}
	return nil
}

// patience is how long a decision waits for another process that sends. It is
// many times what one takes to see the decision and end; one that is stopped, or
// an erasure, is not waited for any longer.
const patience = time.Second

// stopSending ends what this process sends and waits until no other one does.
// Until release is called none begins. Without it, another process could send
// what it has in memory, or keep a note of that, after the removal.
func (c *Client) stopSending() (release func()) {
	if abort := c.abort.Load(); abort != nil {
		(*abort)()
	}
	c.sending.Lock()
	lease, err := (*spool.Lease)(nil), error(nil)
	for start := time.Now(); !c.spool.Empty() && time.Since(start) < patience; time.Sleep(watchEvery / 5) {
		if lease, err = c.spool.Lease(); !errors.Is(err, ErrBusy) {
			break
		}
	}
	return func() {
		if lease != nil {
			_ = lease.Release() // the kernel does it with the file
		}
		c.sending.Unlock()
	}
}

// noteRefusal writes the decision and ends the goroutines. It comes before the
// removal: a crash after it leaves files that are never sent and that the next
// Open removes; a crash before it leaves everything as it was. Where a yes stays
// on the disk, this process does not follow it any more.
func (c *Client) noteRefusal() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	refusal := record{Format: recordFormat, State: Refused, Date: c.today()}
	err := write(c.cfg.Dir, refusal)
	if err != nil {
		err = overwrite(filepath.Join(c.cfg.Dir, recordFile), refusal)
	}
	c.withdrawn.Store(err != nil)
	c.apply()
	return err
}

// overwrite takes back a yes where no file can be written beside it, as on a full
// disk. It is emptied first, which alone is a refusal, so that it does not matter
// whether the rest can be written. Where even that fails the record is removed,
// and then the user is asked again.
func overwrite(path string, refusal record) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return err // nobody agreed, and nobody will know of this answer
	}
	if err == nil {
		err = f.Truncate(0)
		if data, invalid := json.Marshal(refusal); invalid == nil {
			if _, short := f.Write(data); short != nil {
				err = f.Truncate(0) // half a refusal is none
			}
		}
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		return nil
	}
	return durable.Remove(path)
}

// purge removes all but the decision.
func (c *Client) purge() error {
	c.startOver()
	return errors.Join(c.spool.Purge(),
		durable.Remove(filepath.Join(c.cfg.Dir, scheduleFile)), durable.Remove(filepath.Join(c.cfg.Dir, saidFile)))
}

// finishRefusal removes what a refusal left that was cut short by a crash, or
// what was written while another process noted it; and what nobody agreed to, for
// the record is gone. A record that cannot be read may be a later version's, and
// what lies beside it too.
func (c *Client) finishRefusal() error {
	decision := read(filepath.Join(c.cfg.Dir, recordFile))
	if decision.Rule != ruleNone && (decision.State != Refused || decision.Rule != ruleUser) {
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
