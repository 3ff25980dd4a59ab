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
		writeView(&b, m.Name, viewColumns(m))
		fmt.Fprintf(&b, "FROM published.statistics AS s FINAL\nWHERE s.metric = '%s' AND s.period IN\n"+
			"    (SELECT r.period FROM published.releases AS r FINAL WHERE r.metric = '%s' AND r.status = 'released')\n", m.Name, m.Name)
		fmt.Fprintf(&b, "COMMENT %s;\n\n", quoteSQL(m.Title+". "+m.Question))
	}
	return b.String()
}

// writeView begins the statement of a view: its columns, and what they hold.
func writeView(b *strings.Builder, name string, columns []viewColumn) {
	fmt.Fprintf(b, "CREATE OR REPLACE VIEW published.%s\n(\n", name)
	for i, c := range columns {
		fmt.Fprintf(b, "    %s %s COMMENT %s%s\n", c.name, c.kind, quoteSQL(c.comment), comma(i, len(columns)))
	}
	b.WriteString(")\nAS SELECT\n")
	for i, c := range columns {
		fmt.Fprintf(b, "    %s AS %s%s\n", c.expression, c.name, comma(i, len(columns)))
	}
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

// z95 is the 97.5 % quantile of the standard normal law.
const z95 = "1.959963984540054"

// MeanViews returns the statements that give every mean a view of its own,
// published.<name>: a row for each row of the statistics that it divides.
//
// With a total x and a count y, whose noise is independent and normal with standard
// deviations s and t, the interval is Fieller's (1954, "Some problems in interval
// estimation", J. R. Stat. Soc. B 16, section 1): with g = (z t / y)^2 < 1
//
//	( x/y -+ z/y sqrt(s^2 (1-g) + (x/y)^2 t^2) ) / (1-g)
//
// are the ends of the set of all quotients q for which x - q y is no further from 0
// than z of its standard deviations. It holds the quotient of the bounded totals in
// 95 of 100 cases, also where the count is small, which the root of the first order
// (std_err) does not. Where g >= 1 the count could be 0 and the set has no ends, or is
// of what lies outside of two: then nothing is known but minimum and maximum, and
// that interval holds the quotient as well.
func MeanViews(list []*Mean) string {
	var b strings.Builder
	for _, m := range list {
		writeView(&b, m.Name, meanColumns(m))
		fmt.Fprintf(&b, `FROM
(
    SELECT
        *,
        pow(%[1]s * count_error / count_raw, 2) AS g,
        count_raw > 0 AND g < 1 AS known,
        total_raw / count_raw AS ratio,
        %[1]s / count_raw * sqrt(pow(total_error, 2) * (1 - g) + pow(ratio * count_error, 2)) AS half
    FROM
    (
        SELECT
            x.period AS period%[2]s,
            x.value_raw AS total_raw,
            x.std_err AS total_error,
            y.value_raw AS count_raw,
            y.std_err AS count_error
        FROM published.%[3]s AS x
        INNER JOIN published.%[4]s AS y ON y.period = x.period%[5]s
    )
)
`, z95, eachKey(m, ",\n            x.%[1]s AS %[1]s"), m.Total.Name, m.Count.Name, eachKey(m, " AND y.%[1]s = x.%[1]s"))
		fmt.Fprintf(&b, "COMMENT %s;\n\n", quoteSQL(m.Title+". "+m.Question))
	}
	return b.String()
}

func eachKey(m *Mean, format string) string {
	var b strings.Builder
	for _, k := range m.Total.Keys {
		fmt.Fprintf(&b, format, k.Column)
	}
	return b.String()
}

func meanColumns(m *Mean) []viewColumn {
	columns := []viewColumn{{"period", "Date", "Monday of the ISO week", "period"}}
	for _, k := range m.Total.Keys {
		kind := "LowCardinality(String)"
		if k.Numeric {
			kind = "UInt32"
		}
		columns = append(columns, viewColumn{k.Column, kind, keyComment(k), k.Column})
	}
	within := func(expression string) string {
		return fmt.Sprintf("least(toFloat64(%g), greatest(toFloat64(%g), %s))", m.Maximum, m.Minimum, expression)
	}
	return append(columns,
		viewColumn{"value", "Nullable(Float64)", fmt.Sprintf("In %s, within %g and %g; NULL where the count could be 0: nothing is known then", m.Unit, m.Minimum, m.Maximum), "if(known, " + within("ratio") + ", NULL)"},
		viewColumn{"value_raw", "Nullable(Float64)", "The quotient as it is, total by count. Not to add up or average: do that with total and count", "if(count_raw = 0, NULL, ratio)"},
		viewColumn{"std_err", "Nullable(Float64)", "Of value_raw, to first order; the interval is exact", "if(known, sqrt(pow(total_error, 2) + pow(ratio * count_error, 2)) / count_raw, NULL)"},
		viewColumn{"ci95_lo", "Float64", "Lower end of the 95 % interval (Fieller)", fmt.Sprintf("if(known, %s, %g)", within("(ratio - half) / (1 - g)"), m.Minimum)},
		viewColumn{"ci95_hi", "Float64", "Upper end of the 95 % interval", fmt.Sprintf("if(known, %s, %g)", within("(ratio + half) / (1 - g)"), m.Maximum)},
		viewColumn{"status", "Enum8('ok' = 1, 'low_confidence' = 2)", "low_confidence: the interval is wider than the value, or nothing is known", "if(known AND ci95_hi - ci95_lo <= value, 'ok', 'low_confidence')"},
		viewColumn{"total", "Float64", "value_raw of " + m.Total.Name + ", unbiased", "total_raw"},
		viewColumn{"total_std_err", "Float64", "Standard deviation of its noise", "total_error"},
		viewColumn{"count", "Float64", "value_raw of " + m.Count.Name + ", unbiased", "count_raw"},
		viewColumn{"count_std_err", "Float64", "Standard deviation of its noise, independent of that of the total", "count_error"})
}
