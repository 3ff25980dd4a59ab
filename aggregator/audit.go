package aggregator

import (
	"io"

	"github.com/slicemetry/slicemetry/aggregator/internal/audit"
)

// AuditSpec is what Audit releases: a promise and metrics of any keys and bounds.
type AuditSpec = audit.Spec

// ParseAuditSpec reads a spec, YAML or JSON, and returns every problem at once
// with its line. name is what the text is called in errors.
func ParseAuditSpec(name string, text []byte) (*AuditSpec, error) {
	return audit.ParseSpec(name, text)
}

// Audit releases made-up rows that many times, each with noise of its own, and
// writes a line for each published row. It needs no database and keeps no
// account: rows of people MUST never be given to it.
func Audit(spec *AuditSpec, name string, in io.Reader, trials int, out io.Writer) error {
	rows, err := audit.ReadRows(name, in)
	if err != nil {
		return err
	}
	return audit.Write(spec, rows, trials, out)
}
