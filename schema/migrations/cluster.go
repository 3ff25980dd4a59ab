package migrations

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// ErrOtherKind says that a database was made for one server and is to be one of a
// cluster, or the other way round. Tables do not change their kind by themselves.
var ErrOtherKind = errors.New("the schema was applied for one server and cannot become that of a cluster, or the other way round; make it anew and copy the rows")

// tokenSeconds is how long a replicated table remembers a deduplication token: longer
// than any week can be published, so that a reservation is decided by it.
const tokenSeconds = 366 * 24 * 60 * 60

// clusterName is what may stand in a statement.
var clusterName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

// ApplyOnCluster is Apply for a replicated cluster of one shard: every statement runs
// on all of its servers, and every table is replicated. The servers MUST define the
// macro {replica}, one for each of them.
func ApplyOnCluster(ctx context.Context, conn Conn, cluster string) ([]string, error) {
	if !clusterName.MatchString(cluster) {
		return nil, fmt.Errorf("migrations: %q cannot be the name of a cluster", cluster)
	}
	return apply(ctx, conn, func(statement string) (string, error) { return onCluster(statement, cluster) }, true)
}

var (
	// target is what a statement changes: everything up to the name.
	target = regexp.MustCompile(`^(?s)((?:\s*--[^\n]*\n)*\s*(?:CREATE DATABASE IF NOT EXISTS|CREATE TABLE IF NOT EXISTS|CREATE OR REPLACE VIEW|ALTER TABLE)\s+([a-z_]+(?:\.[a-z0-9_]+)?))`)
	engine = regexp.MustCompile(`\bENGINE = (\w*MergeTree)\b`)
	window = regexp.MustCompile(`\bnon_replicated_deduplication_window = (\d+)`)
)

// onCluster makes of a statement for one server the one for a cluster. What it does
// not know it refuses: a table that is not replicated would lose rows with its server.
func onCluster(statement, cluster string) (string, error) {
	found := target.FindStringSubmatchIndex(statement)
	if found == nil {
		return "", fmt.Errorf("migrations: there is no form for a cluster of %.40q", strings.TrimSpace(withoutComments(statement)))
	}
	name := statement[found[4]:found[5]]
	out := statement[:found[3]] + " ON CLUSTER '" + cluster + "'" + statement[found[3]:]
	isTable := strings.Contains(statement[:found[3]], "CREATE TABLE")
	if engines := engine.FindAllString(out, -1); isTable != (len(engines) == 1) {
		return "", fmt.Errorf("migrations: %s has %d engines", name, len(engines))
	}
	database, table, _ := strings.Cut(name, ".")
	out = engine.ReplaceAllString(out, fmt.Sprintf("ENGINE = Replicated$1('/clickhouse/tables/slicemetry/%s/%s', '{replica}')", database, table))
	return window.ReplaceAllString(out, fmt.Sprintf("replicated_deduplication_window = $1, replicated_deduplication_window_seconds = %d", tokenSeconds)), nil
}

// checkKind refuses to mix tables of one server with those of a cluster: what is
// there is not made again, and would stay what it is.
func checkKind(ctx context.Context, conn Conn, replicated bool) error {
	rows, err := conn.Query(ctx, `SELECT startsWith(engine, 'Replicated') FROM system.tables WHERE database = 'admin' AND name = 'migrations'`)
	if err != nil {
		return fmt.Errorf("migrations: look at what is there: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var is uint8
		if err := rows.Scan(&is); err != nil {
			return fmt.Errorf("migrations: look at what is there: %w", err)
		}
		if (is == 1) != replicated {
			return fmt.Errorf("migrations: %w", ErrOtherKind)
		}
	}
	return rows.Err()
}
