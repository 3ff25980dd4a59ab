package client

import "context"

// turn is a lock for which nobody need wait longer than a context lasts.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// Lock takes it.
func (t turn) Lock() { t <- struct{}{} }

// Unlock gives it back.
func (t turn) Unlock() { <-t }

// TryLock takes it if nobody has it.
func (t turn) TryLock() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

// wait is Lock until ctx ends, and never when it has ended.
func (t turn) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
