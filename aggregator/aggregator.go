// Package aggregator turns raw rows into published, differentially private
// statistics, and lets the rows go.
//
// It guarantees that everything published about one week, together, is (epsilon,
// delta)-differentially private with respect to everything that one installation
// sent in that week; that a statistic is drawn once and then only read; and that
// raw rows are dropped when they are published, and before they are 30 days past
// their week in any case.
//
// How: operations on one database, and one on what Site wrote.
//
//	Plan     what will be published, how exactly, and what it promises: no data
//	Publish  for the metrics of a closed period
//	           ledger.Reserve ─▶ bound.Read ─▶ ledger.Draw ─▶ release.New ─▶ publish.Write
//	             (durable)        (in SQL)      (durable)      (noise)        (durable)
//	Ledger   what was spent
//	Site     static pages of everything published
//	Serve    these pages and downloads, read-only, from a folder
//	Drop     raw rows that are done with
//
// Each arrow is a type that only the step before can make: data cannot be read
// without a grant, noise cannot be drawn without a draw, and only a table that was
// noised can be written.
package aggregator

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/slicemetry/slicemetry/aggregator/internal/gdp"
	"github.com/slicemetry/slicemetry/aggregator/internal/plan"
)

// DefaultGrace is how long after its end a period stays open. Slicers send once
// a day; two days reach those that were on a day ago. Later rows are not counted.
const DefaultGrace = 48 * time.Hour

// DefaultMargin is how long raw rows are kept after their period is published,
// so that a mistake in a release can still be studied.
const DefaultMargin = 7 * 24 * time.Hour

// dropEarly is how long before the retention ends rows are dropped. A job that
// runs every day then keeps the deadline.
const dropEarly = 24 * time.Hour

// ErrOpen says that a period is not over, or its grace is not.
var ErrOpen = errors.New("aggregator: the period is still open")

// Conn is a connection to the database as the user aggregator.
type Conn = driver.Conn

// Config is what can be chosen. Its zero value is the default plan.
type Config struct {
	Epsilon  float64          // promised about one period; 0: 1
	Delta    float64          // 0: 1e-8
	Grace    time.Duration    // 0: DefaultGrace
	Margin   time.Duration    // 0: DefaultMargin
	Now      func() time.Time // nil: time.Now
	Progress io.Writer        // a line for every step; nil: none
}

// Validate reports every problem of a configuration.
func (c Config) Validate() error {
	var problems []error
	if err := c.promise().Validate(); err != nil {
		problems = append(problems, err)
	}
	if c.Grace < 0 {
		problems = append(problems, fmt.Errorf("aggregator: the grace is %s, want at least 0", c.Grace))
	}
	if c.Margin < 0 {
		problems = append(problems, fmt.Errorf("aggregator: the margin is %s, want at least 0", c.Margin))
	}
	return errors.Join(problems...)
}

func (c Config) promise() gdp.Promise {
	p := gdp.Week
	if c.Epsilon != 0 {
		p.Epsilon = c.Epsilon
	}
	if c.Delta != 0 {
		p.Delta = c.Delta
	}
	return p
}

func (c Config) grace() time.Duration {
	if c.Grace == 0 {
		return DefaultGrace
	}
	return c.Grace
}

func (c Config) margin() time.Duration {
	if c.Margin == 0 {
		return DefaultMargin
	}
	return c.Margin
}

func (c Config) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

func (c Config) progress(format string, args ...any) {
	if c.Progress != nil {
		fmt.Fprintf(c.Progress, format+"\n", args...)
	}
}

// plan checks the configuration and splits its budget.
func (c Config) plan() (plan.Plan, error) {
	if err := c.Validate(); err != nil {
		return plan.Plan{}, err
	}
	return plan.New(c.promise())
}
