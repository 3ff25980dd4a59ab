package metrics

import (
	"fmt"
	"strings"
)

// Views returns the statements that give every metric a view of its own in
// ClickHouse, published.<name>: a typed column for each dimension, numbers in
// the metric's unit, complete releases only. A migration holds their text; a test
// compares the two.
func Views(list []*Metric) string {
	var b strings.Builder
	for _, m := range list {
		fmt.Fprintf(&b, "CREATE OR REPLACE VIEW published.%s\n(\n", m.Name)
		columns := viewColumns(m)
		for i, c := range columns {
			fmt.Fprintf(&b, "    %s %s COMMENT %s%s\n", c.name, c.kind, quoteSQL(c.comment), comma(i, len(columns)))
		}
		b.WriteString(")\nAS SELECT\n")
		for i, c := range columns {
			fmt.Fprintf(&b, "    %s AS %s%s\n", c.expression, c.name, comma(i, len(columns)))
		}
		fmt.Fprintf(&b, "FROM published.statistics AS s FINAL\nWHERE s.metric = '%s' AND s.period IN\n"+
			"    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = '%s' AND r.status = 'released')\n", m.Name, m.Name)
		fmt.Fprintf(&b, "COMMENT %s;\n\n", quoteSQL(m.Title+". "+m.Question))
	}
	return b.String()
}

type viewColumn struct{ name, kind, comment, expression string }

func viewColumns(m *Metric) []viewColumn {
	columns := []viewColumn{{"period", "Date", "Monday of the ISO week", "s.period"}}
	for i, k := range m.Keys {
		kind, expression := "LowCardinality(String)", fmt.Sprintf("s.key[%d]", i+1)
		if k.Numeric {
			kind, expression = "UInt32", "toUInt32("+expression+")"
		}
		columns = append(columns, viewColumn{k.Column, kind, keyComment(k), expression})
	}
	number := func(name, comment, column string) {
		columns = append(columns, viewColumn{name, "Float64", comment, column + " / s.scale"})
	}
	number("value", "In "+m.Unit+", never negative", "s.value")
	number("value_raw", "In "+m.Unit+", unbiased: add up and average this one", "s.value_raw")
	number("std_err", "Standard deviation of the noise", "s.std_err")
	number("ci95_lo", "Lower end of the 95 % interval", "s.ci95_lo")
	number("ci95_hi", "Upper end of the 95 % interval", "s.ci95_hi")
	return append(columns,
		viewColumn{"status", "Enum8('ok' = 1, 'low_confidence' = 2)", "low_confidence: the interval is wider than the value", "s.status"},
		viewColumn{"clip_share", "Nullable(Float64)", "Noisy share of installations that a cap cut", "s.clip_share"})
}

func keyComment(k Key) string {
	switch {
	case k.Edges != nil:
		return "Middle of a logarithmic bucket"
	case k.Numeric:
		return "Grid point"
	case k.Otherwise != "":
		return fmt.Sprintf("One of %d public names; others are %q", len(k.Values), k.Otherwise)
	}
	return fmt.Sprintf("One of %d public names", len(k.Values))
}

func comma(i, n int) string {
	if i == n-1 {
		return ""
	}
	return ","
}

func quoteSQL(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
