package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/client"
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
		return a.importCura(ctx, []string{"-"}, a.check)
	case a.format != "json":
		return fmt.Errorf("-format: %q is neither json nor cura", a.format)
	}
	if a.check {
		return eachInput(a, a.checkEvent)
	}
	return a.recording(func(c *client.Client) error {
		return eachInput(a, func(_ int, s *telemetryv1.Slice) { c.Record(s) })
	})
}

// count reads counters as record reads events.
func (a *agent) count(context.Context) error {
	return a.recording(func(c *client.Client) error {
		return eachInput(a, func(_ int, u *telemetryv1.UsageCounters) { c.Count(u) })
	})
}

// maxInput is far more than a job's events: what goes on longer is not one.
const maxInput = 64 << 20

// eachInput reads JSON objects until the input ends and hands each on with its
// number. A bad one is reported and the others go on.
func eachInput[M any, P interface {
	*M
	proto.Message
}](a *agent, take func(n int, m P)) error {
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
		m := P(new(M))
		usable, err := decode(raw, m)
		if err != nil {
			fmt.Fprintf(a.err, "standard input, event %d: %s\n", n, err)
			bad++
		}
		if usable {
			take(n, m)
		}
	}
}

// decode reads one message. What this version does not know, because the host is
// newer or mistaken, is left out with an error that names it; the rest is usable
// if there is any. A text that is no UTF-8 becomes one that no list knows.
func decode(raw []byte, m proto.Message) (usable bool, err error) {
	raw = bytes.ToValidUTF8(raw, []byte("\uFFFD"))
	if err = protojson.Unmarshal(raw, m); err == nil {
		return true, nil
	}
	proto.Reset(m)
	if wrong := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, m); wrong != nil {
		return false, reason(wrong, m)
	}
	if proto.Size(m) == 0 {
		return false, reason(err, m)
	}
	return true, fmt.Errorf("%w; the rest is taken", reason(err, m))
}

// reason is protojson's, without the value that it may quote. It names a field,
// which the host's developer needs, or a place.
func reason(err error, m proto.Message) error {
	name := strings.TrimPrefix(string(m.ProtoReflect().Descriptor().FullName()), "slicemetry.")
	text := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: ")
	place, rest, found := strings.Cut(text, "): ")
	if !found {
		return fmt.Errorf("not a %s", name)
	}
	place = strings.TrimPrefix(place, "syntax error ")
	what, _, _ := strings.Cut(rest, ":")
	if strings.HasPrefix(what, "unexpected token ") {
		what = "a value of another kind was expected" // the token is what stands there
	}
	return fmt.Errorf("not a %s %s): %s", name, place, what)
}

// checkEvent prints what would become of an event, and what its rules found.
func (a *agent) checkEvent(n int, s *telemetryv1.Slice) {
	report := &rules.Report{}
	rules.Coarsen(&telemetryv1.Slice{}, s, 0, report)
	a.printEvent(s)
	for _, f := range report.Findings {
		fmt.Fprintf(a.err, "standard input, event %d: %s: %s (%s)\n", n, f.Field, f.Reason, f.Action)
	}
}

func badInput(n int) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d of the inputs", errBadInput, n)
}
