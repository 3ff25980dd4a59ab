package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/peterbourgon/ff/v3"
	"github.com/peterbourgon/ff/v3/ffcli"

	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/migrations"
	"github.com/slicemetry/slicemetry/schema/rules"
)

func flagSet(name string) *flag.FlagSet { return flag.NewFlagSet(name, flag.ContinueOnError) }

// usage is run where a command was called without what it needs.
func usage(context.Context, []string) error { return flag.ErrHelp }

func migrateCommand(options []ff.Option) *ffcli.Command {
	fs := flagSet("schema migrate")
	dsn := fs.String("clickhouse", "clickhouse://migrator@127.0.0.1:9000", "database to bring up to date (or SLICEMETRY_CLICKHOUSE)")
	cluster := fs.String("cluster", "", "name of a replicated cluster of one shard on which to do so; none: one server")
	return &ffcli.Command{
		Name:       "migrate",
		ShortUsage: "schema migrate -clickhouse clickhouse://migrator:PASSWORD@HOST:9000 [-cluster NAME]",
		ShortHelp:  "apply the steps that are missing",
		LongHelp: `Applies, in order, each step of the schema that the database does not have yet,
and says which. Running it again does nothing. A step that was changed after it
was applied is refused.

With -cluster every statement runs ON CLUSTER and every table is replicated. The
migrator needs CLUSTER ON *.* for it, and each server a macro {replica} of its own.
docs/operations.md says what else a cluster needs, and what is not tested.`,
		FlagSet: fs,
		Options: options,
		Exec: func(ctx context.Context, _ []string) error {
			return migrate(ctx, *dsn, *cluster)
		},
	}
}

func migrate(ctx context.Context, dsn, cluster string) error {
	settings, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return fmt.Errorf("-clickhouse: %w", err)
	}
	conn, err := clickhouse.Open(settings)
	if err != nil {
		return err
	}
	defer conn.Close()
	var applied []string
	if cluster == "" {
		applied, err = migrations.Apply(ctx, conn)
	} else {
		applied, err = migrations.ApplyOnCluster(ctx, conn, cluster)
	}
	for _, step := range applied {
		fmt.Println("applied", step)
	}
	if err == nil && len(applied) == 0 {
		fmt.Println("up to date")
	}
	return err
}

func rolesCommand() *ffcli.Command {
	return &ffcli.Command{
		Name:       "roles",
		ShortUsage: "schema roles | clickhouse client",
		ShortHelp:  "print the SQL that makes the roles on a server that keeps its users itself",
		LongHelp: `Prints CREATE ROLE and GRANT statements: one role for each program, with what it
needs and no more. Give each role to a user of your own. The embedded engine
does not need them; its users are made when it starts.`,
		FlagSet: flagSet("schema roles"),
		Exec: func(context.Context, []string) error {
			for _, statement := range migrations.RoleStatements() {
				fmt.Println(statement + ";")
			}
			return nil
		},
	}
}

func docCommand() *ffcli.Command {
	return &ffcli.Command{
		Name:       "doc",
		ShortUsage: "schema doc > docs/data.md",
		ShortHelp:  "write the data dictionary: every field, why, how coarse, how long, for which metric",
		FlagSet:    flagSet("schema doc"),
		Exec: func(context.Context, []string) error {
			return writeDictionary(os.Stdout)
		},
	}
}

func lintCommand() *ffcli.Command {
	return &ffcli.Command{
		Name:       "lint",
		ShortUsage: "schema lint",
		ShortHelp:  "check that every field is justified, bounded and used",
		FlagSet:    flagSet("schema lint"),
		Exec: func(context.Context, []string) error {
			return rules.Lint(telemetryv1.File_telemetry_v1_telemetry_proto)
		},
	}
}
