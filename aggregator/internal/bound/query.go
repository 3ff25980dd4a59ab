package bound

import (
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// The marks that go along with a unit's cells, outside of any metric's range.
const (
	cutCell   = 1<<64 - 1
	uncutCell = 1<<64 - 2
)

// spill is where a table of units goes to the disk: far above a million units,
// far below what a small machine has.
const spill = 1 << 30

// Query returns the SQL that bounds a metric in a period. It holds names of the
// catalogue, numbers and a date, and no text from anywhere else.
func Query(m *metrics.Metric, p period.Period) string {
	key := newHashKey(m, p)
	var b strings.Builder
	err := queryTemplate.Execute(&b, map[string]any{
		"Table":   table(m.Source),
		"Join":    arrayJoin(m.Source),
		"Period":  p.Start().Format(time.DateOnly),
		"Cell":    cellExpression(m),
		"Value":   valueExpression(m),
		"RowCap":  rowCap(m),
		"Keys":    m.Bounds.Keys,
		"Total":   m.Bounds.Total,
		"Limited": m.Bounds.Keys < int64(m.Cells()),
		"Vote":    m.OneVote(),
		"Present": m.Statistic == metrics.Installations,
		"Clips":   m.Clips(),
		"A":       key.a, "B": key.b,
		"Spill": spill, "CutCell": uint64(cutCell), "UncutCell": uint64(uncutCell),
	})
	if err != nil {
		panic(err) // the template and its data are ours
	}
	return b.String()
}

// Two plain aggregations, by unit and cell and then by unit, are up to twice as
// fast as one with sumMap. Aggregating in the order of storage, which is by unit,
// would need no table of units; it is no faster, and five times slower after an
// ARRAY JOIN. A table that outgrows memory goes to the disk instead.
var queryTemplate = template.Must(template.New("query").Parse(`
SELECT cell, sum(part) AS total
FROM
(
    SELECT
        arrayMap(s -> least(s, toUInt64({{.RowCap}})), sums.2) AS capped,
{{- if .Limited}}
        arraySlice(arraySort(i -> (sipHash64Keyed((toUInt64({{.A}}), toUInt64({{.B}})), unit, sums.1[i]), sums.1[i]), arrayEnumerate(sums.1)), 1, {{.Keys}}) AS kept,
        arrayMap(i -> sums.1[i], kept) AS cells,
        arrayMap(i -> capped[i], kept) AS parts,
{{- else}}
        sums.1 AS cells,
        capped AS parts,
{{- end}}
        arraySum(parts) AS whole,
{{- if .Vote}}
        arrayMap(v -> intDiv(v * {{.Total}}, whole), parts) AS bounded
{{- else if .Present}}
        parts AS bounded
{{- else}}
        if(whole > {{.Total}}, arrayMap(v -> intDiv(v * toUInt64({{.Total}}), whole), parts), parts) AS bounded
{{- end}}
{{- if .Clips}},
        length(sums.1) > {{.Keys}}{{if not .Present}} OR whole > {{.Total}} OR arrayExists(s -> s > {{.RowCap}}, sums.2){{end}} AS cut
{{- end}}
    FROM
    (
        SELECT unit, (groupArray(cell), groupArray(added)) AS sums
        FROM
        (
            SELECT unit, cell, sum(value) AS added
            FROM
            (
                SELECT unit, {{.Cell}} AS cell, {{.Value}} AS value
                FROM {{.Table}} FINAL
                {{.Join}}
                WHERE period = toDate('{{.Period}}')
            )
            WHERE cell != 0 AND value != 0
            GROUP BY unit, cell
        )
        GROUP BY unit
    )
)
ARRAY JOIN
{{- if .Clips}}
    arrayPushBack(cells, if(cut, toUInt64({{.CutCell}}), toUInt64({{.UncutCell}}))) AS cell,
    arrayPushBack(bounded, toUInt64(1)) AS part
{{- else}}
    cells AS cell,
    bounded AS part
{{- end}}
GROUP BY cell
SETTINGS do_not_merge_across_partitions_select_final = 1, max_bytes_before_external_group_by = {{.Spill}}
`))

func table(s metrics.Source) string {
	if s == metrics.Counters {
		return "raw.counters"
	}
	return "raw.slices"
}

func arrayJoin(s metrics.Source) string {
	switch s {
	case metrics.Extruders:
		return "ARRAY JOIN extruders"
	case metrics.ChangedSettings:
		return "ARRAY JOIN changed_settings"
	}
	return ""
}

// columnName returns the SQL of a column of a metric's source.
func columnName(s metrics.Source, column string) string {
	switch column {
	case "material_type", "material_brand", "used_mg", "used_mm", "nozzle_um":
		if s == metrics.Extruders {
			return "`extruders." + column + "`"
		}
	}
	return "`" + column + "`"
}

// valueExpression is what a row adds. A value is cut just above the cap, so that
// no sum of rows wraps and what is above the cap still shows.
func valueExpression(m *metrics.Metric) string {
	if m.Statistic != metrics.Sum {
		return "toUInt64(1)"
	}
	return fmt.Sprintf("least(toUInt64(%s), toUInt64(%d))", columnName(m.Source, m.Value), m.Bounds.PerKey+1)
}

// cellExpression is the position of a row's key in the public set, from 1; 0
// where it has none.
func cellExpression(m *metrics.Metric) string {
	if len(m.Keys) == 0 {
		return "toUInt64(1)"
	}
	var positions []string
	cell := "0"
	for i, k := range m.Keys {
		position := fmt.Sprintf("(%s AS position%d)", positionExpression(columnName(m.Source, k.Column), k), i)
		positions = append(positions, position+" != 0")
		cell = fmt.Sprintf("(%s * %d + position%d - 1)", cell, len(k.Values), i)
	}
	return fmt.Sprintf("if(%s, toUInt64(%s + 1), toUInt64(0))", strings.Join(positions, " AND "), cell)
}

func positionExpression(column string, k metrics.Key) string {
	values, numbers := make([]string, len(k.Values)), make([]string, len(k.Values))
	otherwise := 0
	for i, v := range k.Values {
		values[i], numbers[i] = quote(v), fmt.Sprint(i+1)
		if v == k.Otherwise {
			otherwise = i + 1
		}
	}
	from, to := "["+strings.Join(k.Values, ", ")+"]", "["+strings.Join(numbers, ", ")+"]"
	switch {
	case k.Optional:
		return fmt.Sprintf("transform(ifNull(toInt64(%s), -1), %s, %s, 0)", column, from, to)
	case k.Numeric:
		return fmt.Sprintf("transform(toInt64(%s), %s, %s, 0)", column, from, to)
	}
	from = "[" + strings.Join(values, ", ") + "]"
	return fmt.Sprintf("if(toString(%s) IN ('', 'unspecified'), 0, transform(toString(%s), %s, %s, %d))", column, column, from, to, otherwise)
}

var escaper = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

func quote(s string) string { return "'" + escaper.Replace(s) + "'" }
