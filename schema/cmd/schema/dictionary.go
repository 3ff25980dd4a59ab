package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/slicemetry/slicemetry/schema/catalog"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// sections are the messages of the protocol, as a reader meets them.
var sections = []struct{ message, title, text string }{
	{"Slice", "One completed output", "Sent for each job that was written to a file, a drive or a printer."},
	{"UsageCounters", "Counters", "Sent once with each batch of outputs."},
	{"Batch", "Delivery", "What carries them, so that each arrives once."},
}

// writeDictionary writes the data dictionary as Markdown.
func writeDictionary(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, `# Data dictionary

Written by `+"`schema doc`"+` from the rules that the protocol's fields carry; the check
compares it. Nothing that is not listed here leaves a device, in any form.
Catalogue version %d.

Never collected: model hashes, geometry, file, project, printer or user names,
paths, organisations, accounts, exact times, free text, serial numbers, hardware
addresses, stable identifiers, operating system builds.
`, catalog.Version)
	for _, s := range sections {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", s.title, s.text)
		b.WriteString("| field | category | what leaves the device | purpose | kept | used by |\n")
		b.WriteString("| --- | --- | --- | --- | --- | --- |\n")
		for _, f := range rules.Fields() {
			if f.Message == s.message {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", f.Path, f.Category(), f.Coarsening(), f.Purpose(), f.Retention(), usedBy(f))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func usedBy(f rules.Field) string {
	switch {
	case len(f.Rule.Metrics) == 0 && f.Rule.GetNested() != nil:
		return "see its fields"
	case len(f.Rule.Metrics) == 0:
		return "delivery"
	}
	return "`" + strings.Join(f.Rule.Metrics, "`, `") + "`"
}
