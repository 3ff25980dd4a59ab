package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/slicemetry/slicemetry/bench/demo"
	"github.com/slicemetry/slicemetry/bench/stack"
	"github.com/slicemetry/slicemetry/schema/migrations"
)

func run(ctx context.Context, cfg demo.Config) error {
	s, err := demo.Run(ctx, cfg)
	return errors.Join(err, stop(s))
}

// up leaves the stack running until it is interrupted.
func up(ctx context.Context, cfg demo.Config) error {
	s, err := demo.Run(ctx, cfg)
	if err != nil {
		return errors.Join(err, stop(s))
	}
	fmt.Printf(`Running until you press Ctrl-C.

  page         file://%s
  collector    %s (TLS; clients need -ca %s)
  metrics      http://%s/metrics
  ClickHouse   %s (native), http://%s (HTTP)
  as analyst   %s
  as aggregator, who reads raw rows   %s

`, absolute(cfg.Dir, "site", "index.html"), s.Target(), s.CAFile(), s.Admin(), s.DB.Addr(), s.DB.HTTPAddr(), s.DB.DSN(migrations.Analyst), s.DB.DSN(migrations.Aggregator))
	<-ctx.Done()
	fmt.Println("\nstopping")
	return stop(s)
}

func stop(s *stack.Stack) error {
	if s == nil {
		return nil
	}
	return s.Stop(context.Background())
}

func absolute(parts ...string) string {
	path, err := filepath.Abs(filepath.Join(parts...))
	if err != nil {
		return filepath.Join(parts...)
	}
	return path
}
