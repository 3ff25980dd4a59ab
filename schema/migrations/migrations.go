// Package migrations brings a ClickHouse to the schema that this build needs.
//
// Each step is one file of statements, applied in the order of its number and
// noted in admin.migrations with the hash of its text. Applying again does
// nothing; a step that was changed after it was applied is refused by name. A
// crash inside a step is harmless, because every statement is idempotent.
package migrations

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

//go:embed *.sql
var files embed.FS

// ErrChanged says that a step's text is not what was applied.
var ErrChanged = errors.New("the step was changed after it was applied; add a new step instead")

// Step is one file of statements.
type Step struct {
	Name       string // "0001_raw"
	Hash       string
	Statements []string
}

// Conn is what applying needs of a connection.
type Conn interface {
	Exec(ctx context.Context, query string, args ...any) error
	Query(ctx context.Context, query string, args ...any) (driver.Rows, error)
}

// bookkeeping is where applied steps are noted.
var bookkeeping = []string{
	`CREATE DATABASE IF NOT EXISTS admin`,
	`CREATE TABLE IF NOT EXISTS admin.migrations (name String, hash String) ENGINE = ReplacingMergeTree ORDER BY name
	 SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
	 COMMENT 'The schema steps that were applied'`,
}

// Apply brings the database up to date and returns the names of the steps it
// applied now.
func Apply(ctx context.Context, conn Conn) ([]string, error) {
	return apply(ctx, conn, func(statement string) (string, error) { return statement, nil }, false)
}

// apply applies the steps that are missing, each statement in the form that it
// takes. A step is known by the hash of its text, which is the same in every form.
func apply(ctx context.Context, conn Conn, form func(string) (string, error), replicated bool) ([]string, error) {
	steps, err := Steps()
	if err != nil {
		return nil, err
	}
	if err := checkKind(ctx, conn, replicated); err != nil {
		return nil, err
	}
	for _, statement := range bookkeeping {
		if err := execute(ctx, conn, form, statement); err != nil {
			return nil, fmt.Errorf("migrations: bookkeeping: %w", err)
		}
	}
	applied, err := appliedHashes(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("migrations: read applied steps: %w", err)
	}
	var now []string
	for _, step := range steps {
		hash, done := applied[step.Name]
		if done && hash != step.Hash {
			return now, fmt.Errorf("migrations: %s: %w", step.Name, ErrChanged)
		}
		if done {
			continue
		}
		if err := applyStep(ctx, conn, form, step); err != nil {
			return now, err
		}
		now = append(now, step.Name)
	}
	return now, nil
}

// execute runs a statement in its form.
func execute(ctx context.Context, conn Conn, form func(string) (string, error), statement string) error {
	statement, err := form(statement)
	if err != nil {
		return err
	}
	return conn.Exec(ctx, statement)
}

func applyStep(ctx context.Context, conn Conn, form func(string) (string, error), step Step) error {
	for i, statement := range step.Statements {
		if err := execute(ctx, conn, form, statement); err != nil {
			return fmt.Errorf("migrations: %s, statement %d: %w", step.Name, i+1, err)
		}
	}
	if err := conn.Exec(ctx, `INSERT INTO admin.migrations VALUES (?, ?)`, step.Name, step.Hash); err != nil {
		return fmt.Errorf("migrations: note %s: %w", step.Name, err)
	}
	return nil
}

func appliedHashes(ctx context.Context, conn Conn) (map[string]string, error) {
	rows, err := conn.Query(ctx, `SELECT name, hash FROM admin.migrations FINAL`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	applied := map[string]string{}
	for rows.Next() {
		var name, hash string
		if err := rows.Scan(&name, &hash); err != nil {
			return nil, err
		}
		applied[name] = hash
	}
	return applied, rows.Err()
}

// Steps returns the embedded steps in order.
func Steps() ([]Step, error) {
	names, err := fs.Glob(files, "*.sql") // sorted by name, so by number
	if err != nil {
		return nil, err
	}
	var steps []Step
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		hash := sha256.Sum256(text)
		steps = append(steps, Step{
			Name:       strings.TrimSuffix(name, ".sql"),
			Hash:       hex.EncodeToString(hash[:]),
			Statements: statements(string(text)),
		})
	}
	return steps, nil
}

// A semicolon at the end of a line ends a statement. The steps are ours, so the
// simple rule does: no text in them ends a line that way.
var statementEnd = regexp.MustCompile(`;\s*(\n|$)`)

func statements(text string) []string {
	var list []string
	for _, statement := range statementEnd.Split(text, -1) {
		if withoutComments(statement) != "" {
			list = append(list, strings.TrimSpace(statement))
		}
	}
	return list
}

// withoutComments tells a statement from a trailing comment.
func withoutComments(statement string) string {
	var b strings.Builder
	for line := range strings.Lines(statement) {
		if !strings.HasPrefix(strings.TrimSpace(line), "--") {
			b.WriteString(line)
		}
	}
	return strings.TrimSpace(b.String())
}
