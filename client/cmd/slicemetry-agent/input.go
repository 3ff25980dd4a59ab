package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/client/internal/cura"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// record reads events until the input ends, and records them. A bad one is
// reported by its number and the others go on.
func (a *agent) record(ctx context.Context, args []string) error {
	switch {
	case len(args) > 0:
		return fmt.Errorf("%w: record reads standard input", errUsage)
	case a.format == "cura":
		return a.importCura(ctx, []string{"-"}, false)
	case a.format != "json":
		return fmt.Errorf("-format: %q is neither json nor cura", a.format)
	}
	return a.withConsent(func(c *client.Client) error {
		bad := 0
		decoder := json.NewDecoder(io.LimitReader(a.in, maxInput))
		for n := 1; ; n++ {
			var raw json.RawMessage
			err := decoder.Decode(&raw)
			if errors.Is(err, io.EOF) {
				return badInput(bad)
			}
			if err != nil { // where the next event begins is unknown
				fmt.Fprintf(a.err, "standard input, event %d: not a JSON object (at octet %d); what follows is not read\n", n, decoder.InputOffset())
				return badInput(bad + 1)
			}
			s := &telemetryv1.Slice{}
			if err := protojson.Unmarshal(raw, s); err != nil {
				fmt.Fprintf(a.err, "standard input, event %d: %s\n", n, reason(err))
				bad++
				continue
			}
			c.Record(s)
		}
	})
}

// maxInput is far more than a job's events: what goes on longer is not one.
const maxInput = 64 << 20

// reason is protojson's, without the value that it may quote. It names a field,
// which the host's developer needs, or a place.
func reason(err error) string {
	text := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: ")
	place, rest, found := strings.Cut(text, "): ")
	if !found {
		return "not a telemetry.v1.Slice"
	}
	place = strings.TrimPrefix(place, "syntax error ")
	what, _, _ := strings.Cut(rest, ":")
	if strings.HasPrefix(what, "unexpected token ") {
		what = "a value of another kind was expected" // the token is what stands there
	}
	return "not a telemetry.v1.Slice " + place + "): " + what
}

func badInput(n int) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d of the inputs", errBadInput, n)
}

// importCura imports payloads, one a line.
func (a *agent) importCura(_ context.Context, args []string, dryRun bool) error {
	if len(args) != 1 {
		return fmt.Errorf("%w: import-cura takes one file, or - for standard input, after its flags", errUsage)
	}
	in, name := a.in, "standard input"
	if args[0] != "-" {
		f, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		in, name = f, args[0]
	}
	if dryRun {
		return a.importLines(in, name, a.printEvent)
	}
	return a.withConsent(func(c *client.Client) error {
		return a.importLines(in, name, func(s *telemetryv1.Slice) { c.Record(s) })
	})
}

// printEvent prints an event as it would be recorded, but for the settings that
// a sample would hold: those are an installation's own.
func (a *agent) printEvent(s *telemetryv1.Slice) {
	rules.Coarsen(s, s, rules.Draw(rand.Uint64()), nil)
	line, err := protojson.Marshal(s)
	if err == nil {
		fmt.Fprintf(a.out, "%s\n", compact(line))
	}
}

// compact removes protojson's spaces, which are random on purpose.
func compact(line []byte) []byte {
	var v json.RawMessage = line
	out, err := json.Marshal(v)
	if err != nil {
		return line
	}
	return out
}

// importLines imports each line and hands the events on. A malformed line is
// reported by its number and the others go on.
func (a *agent) importLines(in io.Reader, name string, event func(*telemetryv1.Slice)) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), cura.MaxPayload+1)
	summary, events, bad := summary{}, 0, 0
	number := 0
	for lines.Scan() {
		number++
		if len(strings.TrimSpace(lines.Text())) == 0 {
			continue
		}
		s, report, err := cura.Import(lines.Bytes())
		if err != nil {
			fmt.Fprintf(a.err, "%s:%d: %v\n", name, number, err)
			bad++
			continue
		}
		summary.add(report)
		event(s)
		events++
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintf(a.err, "%s:%d: %v; what follows is not read\n", name, number+1, cura.ErrTooLarge)
		bad++
	}
	fmt.Fprintf(a.err, "%s: %d events, %d lines not taken\n", name, events, bad)
	summary.print(a.err)
	return badInput(bad)
}

// summary counts findings.
type summary map[rules.Finding]int

func (s summary) add(r *rules.Report) {
	for _, f := range r.Findings {
		s[f]++
	}
}

func (s summary) print(w io.Writer) {
	var findings []rules.Finding
	for f := range s {
		findings = append(findings, f)
	}
	slices.SortFunc(findings, func(a, b rules.Finding) int {
		return strings.Compare(string(a.Action)+a.Field+a.Reason, string(b.Action)+b.Field+b.Reason)
	})
	for _, f := range findings {
		fmt.Fprintf(w, "%6d  %-12s %-42s %s\n", s[f], f.Action, f.Field, f.Reason)
	}
}
