package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/slicemetry/slicemetry/bench/peer/otelcol/rival"
	"github.com/slicemetry/slicemetry/bench/stack"
)

// bench is a run under way.
type bench struct {
	*options
	stack *stack.Stack
	sides []side // ours first
}

var errLost = errors.New("our collector's acknowledged and stored events differ")

// report is the whole result.
type report struct {
	Speed  []speed `json:"speed,omitempty"`
	Scenes []scene `json:"scenes,omitempty"`
}

func (o *options) run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "peer")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := stack.Start(ctx, stack.Config{Dir: filepath.Join(dir, "stack"), Collector: o.collector, Plaintext: true, Flags: oursFlags})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop(context.WithoutCancel(ctx))) }()
	s.StopCollector() // each measurement starts its own
	b := &bench{options: o, stack: s, sides: []side{ours{s}}}
	for _, mode := range o.modes {
		c, err := rival.New(rival.Config{Program: o.otelcol, Dir: filepath.Join(dir, string(mode)), Mode: mode, Queue: o.queue, DB: s.DB})
		if err != nil {
			return err
		}
		b.sides = append(b.sides, theirs{c, mode})
	}
	var r report
	if o.rounds > 0 {
		if r.Speed, err = b.compareSpeed(ctx); err != nil {
			return err
		}
	}
	if r.Scenes, err = b.playScenes(ctx); err != nil {
		return err
	}
	if err := o.save(r); err != nil {
		return err
	}
	for _, s := range r.Scenes {
		if lost := s.Losses[0].Lost; lost != 0 { // the others' losses are a result, ours a fault
			return fmt.Errorf("%w: %s: %d", errLost, s.Name, lost)
		}
	}
	return nil
}

func (b *bench) playScenes(ctx context.Context) ([]scene, error) {
	var played []scene
	for _, s := range []struct {
		wanted bool
		play   func(context.Context) (scene, error)
	}{{b.kills > 0, b.killed}, {b.away > 0, b.databaseAway}} {
		if !s.wanted {
			continue
		}
		one, err := s.play(ctx)
		if err != nil {
			return nil, err
		}
		one.print()
		played = append(played, one)
	}
	return played, nil
}

func (o *options) save(r report) error {
	if o.json == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, append(text, '\n'), 0o644)
}
