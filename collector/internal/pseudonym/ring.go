// Package pseudonym turns a client's random numbers into hashes that die.
//
// It guarantees that a unit or batch hash can be computed only with the key of
// its period; that all collectors which share a folder use the same key; that a
// crash never leaves half a key, and nothing for ever; and that a key is destroyed 30 days after its
// period's end, after which nobody can tell which token a hash came from.
//
//	DIR (0700)
//	  2026-W47.key (0600)   32 random octets
//	  new-123456   (0600)   a key that is being made, or what a crash left of that
//
// A key appears by link(2) from a complete, synced file, so that of several
// collectors exactly one makes it and none reads it unfinished.
package pseudonym

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/slicemetry/slicemetry/internal/period"
)

const (
	keyBytes  = 32 // HMAC-SHA256 takes no more than its block, and 256 bits are enough for ever
	extension = ".key"
	unborn    = "new-"
	// leftover is how old a file is that nobody is making any more: it takes milliseconds.
	leftover = time.Hour
	// receiptBytes: nobody guesses a receipt.
	receiptBytes = 16
)

// ErrDamaged says that a key file is not a key. It is never repaired by a new
// key: that would split each installation in two.
var ErrDamaged = errors.New("the key file is damaged")

// ErrNoKey says that a period's key cannot be had now. Why is wrapped with it.
var ErrNoKey = errors.New("pseudonym: no key")

// Ring holds the keys of the periods in use. It is safe for concurrent use.
type Ring struct {
	dir string
	// Observe, which is set before the ring is used or not at all, is told why a
	// period's key cannot be had, once, and with nil when it can again. It must be quick.
	Observe func(p period.Period, err error)

	mu      sync.RWMutex
	keys    map[period.Period]*key // guarded by mu, as is all below
	missing map[period.Period]bool // of them Observe was told
	overdue int                    // see Overdue
}

// Open opens the folder of keys, and makes it where it is missing.
func Open(dir string) (*Ring, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("pseudonym: %w", err)
	}
	return &Ring{dir: dir, keys: map[period.Period]*key{}, missing: map[period.Period]bool{}}, nil
}

// Hashes returns the unit and the batch that a token and a batch id stand for in
// a period: the first 8 octets of
//
//	HMAC-SHA256(key, "unit" || token)
//	HMAC-SHA256(key, "batch" || token || id)
func (r *Ring) Hashes(p period.Period, token, id []byte) (unit, batch uint64, err error) {
	key, err := r.key(p)
	if err != nil {
		return 0, 0, err
	}
	return key.hash("unit", token), key.hash("batch", token, id), nil
}

// Erasure returns the unit that a token stands for, and the receipt of its
// erasure: the first 16 octets of HMAC-SHA256(key, "erasure" || token).
func (r *Ring) Erasure(p period.Period, token []byte) (unit uint64, receipt []byte, err error) {
	key, err := r.key(p)
	if err != nil {
		return 0, nil, err
	}
	sum := key.mac("erasure", token)
	return key.hash("unit", token), sum[:receiptBytes], nil
}

// Ready returns nil where a period's key can be had, which is made if there is none.
func (r *Ring) Ready(p period.Period) error {
	_, err := r.key(p)
	return err
}

// key is a period's key. Its hashers are used again: a new one costs more than
// what it hashes.
type key struct{ hashers sync.Pool }

// hasher computes HMACs under one key.
type hasher struct {
	hash.Hash
	sum []byte // room for one
}

func newKey(secret []byte) *key {
	k := &key{}
	k.hashers.New = func() any { return &hasher{hmac.New(sha256.New, secret), make([]byte, 0, sha256.Size)} }
	return k
}

func (k *key) hash(label string, parts ...[]byte) uint64 {
	sum := k.mac(label, parts...)
	return binary.BigEndian.Uint64(sum[:])
}

func (k *key) mac(label string, parts ...[]byte) [sha256.Size]byte {
	mac := k.hashers.Get().(*hasher)
	defer k.hashers.Put(mac)
	mac.Reset()
	mac.Write([]byte(label))
	for _, part := range parts {
		mac.Write(part)
	}
	return [sha256.Size]byte(mac.Sum(mac.sum))
}

func (r *Ring) key(p period.Period) (*key, error) {
	r.mu.RLock()
	k := r.keys[p]
	r.mu.RUnlock()
	if k != nil {
		return k, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.keys[p]; k != nil {
		return k, nil
	}
	secret, err := r.load(p)
	if errors.Is(err, fs.ErrNotExist) {
		secret, err = r.create(p)
	}
	if err != nil {
		err = fmt.Errorf("%w of %s: %w", ErrNoKey, p, err)
		r.note(p, err)
		return nil, err
	}
	r.keys[p] = newKey(secret)
	r.note(p, nil)
	return r.keys[p], nil
}

// note tells Observe what is news: a key that cannot be had is asked for by every call.
// mu is held.
func (r *Ring) note(p period.Period, err error) {
	if r.missing[p] == (err != nil) {
		return
	}
	r.missing[p] = err != nil
	if r.Observe != nil {
		r.Observe(p, err)
	}
}

func (r *Ring) path(p period.Period) string { return filepath.Join(r.dir, p.String()+extension) }

func (r *Ring) load(p period.Period) ([]byte, error) {
	key, err := os.ReadFile(r.path(p))
	if err == nil && (len(key) != keyBytes || bytes.Equal(key, zeroes)) {
		return nil, ErrDamaged
	}
	return key, err
}

// create makes the period's key, or loads the one that another collector made
// in the meantime.
func (r *Ring) create(p period.Period) ([]byte, error) {
	f, err := os.CreateTemp(r.dir, unborn+"*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	key := make([]byte, keyBytes)
	rand.Read(key)
	_, err = f.Write(key)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(f.Name(), r.path(p)); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := syncDir(r.dir); err != nil {
		return nil, err
	}
	return r.load(p)
}

// Overdue returns how many keys are there that the last Prune should have destroyed. A
// folder that could not be read counts as one at least.
func (r *Ring) Overdue() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.overdue
}

// Prune destroys the keys of periods that expired at now, and returns how many. It also
// removes what crashes left. Other collectors may do the same in the same folder.
func (r *Ring) Prune(now time.Time) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.keys, func(p period.Period, _ *key) bool { return p.Expired(now) })
	maps.DeleteFunc(r.missing, func(p period.Period, _ bool) bool { return p.Expired(now) })
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		r.overdue = max(r.overdue, 1)
		return 0, fmt.Errorf("pseudonym: prune: %w", err)
	}
	destroyed := 0
	r.overdue = 0
	var problems []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), unborn) {
			problems = append(problems, r.removeLeftover(e, now))
			continue
		}
		p, err := period.Parse(strings.TrimSuffix(e.Name(), extension))
		if err != nil || !p.Expired(now) {
			continue
		}
		if err := destroy(filepath.Join(r.dir, e.Name())); err != nil {
			r.overdue++
			problems = append(problems, fmt.Errorf("pseudonym: prune %s: %w", p, err))
			continue
		}
		destroyed++
	}
	if destroyed > 0 {
		problems = append(problems, syncDir(r.dir))
	}
	return destroyed, errors.Join(problems...)
}

// removeLeftover removes what a crash left of a key that was being made. It is not
// overwritten: its other name may be a key in use.
func (r *Ring) removeLeftover(e fs.DirEntry, now time.Time) error {
	info, err := e.Info()
	if err == nil && now.Sub(info.ModTime()) > leftover {
		err = os.Remove(filepath.Join(r.dir, e.Name()))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // or its maker, or another collector, was first
		return fmt.Errorf("pseudonym: prune %s: %w", e.Name(), err)
	}
	return nil
}

var zeroes = make([]byte, keyBytes)

// destroy overwrites a key before it unlinks it. What another collector destroyed first is
// done. On a disk that copies on write
// the old blocks may survive that; such a volume has to be encrypted.
func destroy(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.Write(zeroes)
	err = errors.Join(err, f.Sync(), f.Close())
	if removed := os.Remove(path); !errors.Is(removed, fs.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
