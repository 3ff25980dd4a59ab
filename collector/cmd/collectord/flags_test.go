package main

import (
	"strings"
	"testing"
)

// What a DSN says is done or refused, never dropped: an operator who asked for an
// encrypted link, or for another server, has it or hears that he has not.
func TestDatabaseIsTakenWholeOrRefused(t *testing.T) {
	const form = "want clickhouse://USER:PASSWORD@HOST:PORT"
	for dsn, want := range map[string]string{
		"clickhouse://u:hunter2@db:9000":                                   "",
		"clickhouse://u:hunter2@db:9000/":                                  "",
		"clickhouse://db:9000?username=u&password=hunter2":                 "",
		"clickhouse://u:hunter2@db:9000?dial_timeout=5s":                   "",
		"clickhouse://u:hunter2@db:9440?secure=true":                       "",
		"clickhouse://u:hunter2@db:9440?secure=true&tls_server_name=other": "",
		"clickhouse://u:hunter2@db:9440?secure=true&skip_verify=true":      "",

		"clickhouse://u:hunter2@db:9000?compress=zstd":                 `the parameter "compress"`,
		"clickhouse://u:hunter2@db:9000?secure=true&read_timeout=1s":   `the parameter "read_timeout"`,
		"clickhouse://u:hunter2@db:9000?async_insert=1":                `the parameter "async_insert"`,
		"clickhouse://u:hunter2@db1:9000?alt_hosts=db2:9000":           `the parameter "alt_hosts"`,
		"clickhouse://u:hunter2@db1:9000,db2:9000":                     "2 addresses",
		"clickhouse://u:hunter2@db:9000/elsewhere":                     "a database",
		"clickhouse://u:hunter2@db:9000?database=elsewhere":            "a database",
		"http://u:hunter2@db:8123":                                     "the native protocol",
		"clickhouse://u:hunter2@db":                                    form,
		"clickhouse://u:hunter2@db:9000?dial_timeout=1s;secure=true":   form, // the library drops what a semicolon is in
		"clickhouse://u:hunter2@db:9440?secure=perhaps":                form,
		"clickhouse://u:12?hunter2@db:9000":                            form,
		"clickhouse://u:12#hunter2@db:9000":                            form,
		"clickhouse://u:12?a&hunter2@db:9000":                          form,
		"clickhouse://u:hun/ter2@db:9000":                              form,
		"clickhouse://u:hunter2@db:9000?secure=true&tls_server_name=%": form,
	} {
		_, err := parse([]string{"-clickhouse", dsn})
		var said string
		for line := range strings.Lines(err.Error()) { // of all that is missing here
			if strings.HasPrefix(line, "clickhouse: ") {
				said += line
			}
		}
		if want == "" && said != "" || !strings.Contains(said, want) {
			t.Errorf("%s: said %q, want %q", dsn, said, want)
		}
		if strings.Contains(said, "hunter2") || strings.Contains(said, "ter2") {
			t.Errorf("%s: the password is in %q", dsn, said)
		}
	}
}
