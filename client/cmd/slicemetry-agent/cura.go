package main

import (
	"bufio"
	"context"
	"encoding/json"
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
	return a.recording(func(c *client.Client) error {
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
