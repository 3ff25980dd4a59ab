package bound

import (
	"fmt"
	"math"
	"strings"
	"text/template"
	"time"

	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// scan is the metrics of one source, which are computed together: reading and
// grouping the rows by unit costs more than one metric's arithmetic.
//
// Every cell of every metric has a code, from 1. A row without a key in a
// metric's public set has the code 0 there, and so has what is left out.
//
//	code  1 ... cells of the first metric, its two marks, cells of the second, ...
type scan struct {
	source metrics.Source
	period period.Period
	list   []*metrics.Metric
	base   []uint64 // the code of a metric's first cell, less 1
	codes  uint64   // the largest one
}

func newScan(source metrics.Source, p period.Period, list []*metrics.Metric) scan {
	s := scan{source: source, period: p, list: list, base: make([]uint64, len(list))}
	for i, m := range list {
		s.base[i] = s.codes
		s.codes += uint64(m.Cells())
		if m.Clips() {
			s.codes += 2
		}
	}
	return s
}

// The codes of a metric's marks, after its cells.
func (s scan) cutCode(i int) uint64   { return s.base[i] + uint64(s.list[i].Cells()) + 1 }
func (s scan) uncutCode(i int) uint64 { return s.cutCode(i) + 1 }

// unitRange is the units from the first to the last.
type unitRange struct{ first, last uint64 }

// allUnits is all of them.
var allUnits = unitRange{0, math.MaxUint64}

// split divides the units, which are hashes, into n ranges of about as many.
func (r unitRange) split(n uint64) []unitRange {
	step := (r.last - r.first) / n
	list := make([]unitRange, n)
	for i := range list {
		list[i] = unitRange{r.first + uint64(i)*step, r.first + uint64(i+1)*step - 1}
	}
	list[n-1].last = r.last
	return list
}

// query returns the SQL that bounds the metrics for a range of units. It holds
// names of the catalogue, numbers and a date, and no text from anywhere else.
func (s scan) query(r unitRange) string {
	q := &builder{scan: s, code: "toUInt16", positions: map[string]string{}}
	if s.codes > math.MaxUint16 {
		q.code = "toUInt32"
	}
	for i := range s.list {
		q.add(i)
	}
	q.finish()
	var b strings.Builder
	err := queryTemplate.Execute(&b, map[string]any{
		"Query": q, "Table": table(s.source), "Join": arrayJoin(s.source),
		"Period": s.period.Start().Format(time.DateOnly), "First": r.first, "Last": r.last, "MaxRows": metrics.MaxRows,
	})
	if err != nil {
		panic(err) // the template and its data are ours
	}
	return b.String()
}

// One grouping by unit serves all metrics, and the votes, which are most of them,
// share one array: a list of its own for each would take three times as long, a
// grouping by unit and cell for each, as plain as it is, eight times (ADR 0019).
var queryTemplate = template.Must(template.New("query").Parse(`
SELECT toUInt64(code) AS cell, sum(part) AS total
FROM
(
    SELECT
        rows <= {{.MaxRows}} AS fits,
{{- range .Query.Steps}}
        {{.}},
{{- end}}
        arrayConcat({{range $i, $c := .Query.Codes}}{{if $i}}, {{end}}{{$c}}{{end}}) AS codes,
        arrayConcat({{range $i, $p := .Query.Parts}}{{if $i}}, {{end}}{{$p}}{{end}}) AS parts
    FROM
    (
        SELECT
            unit,
            count() AS rows
{{- range .Query.Groups}},
            {{.}}
{{- end}}
        FROM
        (
            SELECT
                unit
{{- range .Query.Columns}},
                {{.}}
{{- end}}
            FROM {{.Table}} FINAL
            {{.Join}}
            WHERE period = toDate('{{.Period}}') AND unit BETWEEN toUInt64({{.First}}) AND toUInt64({{.Last}})
        )
        GROUP BY unit
    )
)
ARRAY JOIN codes AS code, parts AS part
GROUP BY code
SETTINGS do_not_merge_across_partitions_select_final = 1, compile_expressions = 0
`))

// builder collects the expressions of a query.
type builder struct {
	scan
	code string // the type of a code, as the function that makes it

	Columns []string // per row: positions of keys, a code for each metric, and values
	Groups  []string // per unit
	Steps   []string // per unit, from these
	Codes   []string // arrays, the parts of each beside it
	Parts   []string

	votes, present, marks []string
	positions             map[string]string // the alias of a key's position, which metrics share
}

// add adds metric i: its code c<i>, and what becomes of it.
func (b *builder) add(i int) {
	m := b.list[i]
	code := b.codeExpression(i)
	b.Columns = append(b.Columns, fmt.Sprintf("%s(%s) AS c%d", b.code, code, i))
	switch {
	case m.OneVote():
		b.votes = append(b.votes, fmt.Sprintf("c%d", i))
		return
	case m.Statistic == metrics.Installations:
		b.installations(i)
	default:
		b.sums(i)
	}
	if m.Clips() {
		b.marks = append(b.marks, fmt.Sprintf("if(empty(keys%d), 0, if(cut%d, %d, %d))", i, i, b.cutCode(i), b.uncutCode(i)))
	}
}

// installations counts a unit once for each of its keys.
func (b *builder) installations(i int) {
	m := b.list[i]
	b.present = append(b.present, fmt.Sprintf("c%d", i))
	b.Steps = append(b.Steps,
		fmt.Sprintf("arrayFilter(c -> c BETWEEN %d AND %d, present) AS keys%d", b.base[i]+1, b.base[i]+uint64(m.Cells()), i),
		b.kept(i))
	if m.Clips() {
		b.Steps = append(b.Steps, fmt.Sprintf("NOT fits OR length(keys%d) > %d AS cut%d", i, m.Bounds.Keys, i))
	}
	b.append(fmt.Sprintf("kept%d", i), fmt.Sprintf("arrayWithConstant(length(kept%d), toUInt64(1))", i))
}

// sums adds up a unit's rows, or their values, for each of the keys that count.
func (b *builder) sums(i int) {
	m := b.list[i]
	valid, sum := fmt.Sprintf("c%d != 0", i), fmt.Sprintf("countEqual(cells%d, c)", i)
	if m.Statistic == metrics.Sum {
		// A value is cut just above the cap: no sum of rows wraps, and what is above
		// the cap still shows.
		b.Columns = append(b.Columns, fmt.Sprintf("least(toUInt64(%s), toUInt64(%d)) AS v%d", columnName(m.Source, m.Value), m.Bounds.PerKey+1, i))
		valid += fmt.Sprintf(" AND v%d != 0", i)
		b.Groups = append(b.Groups, fmt.Sprintf("groupArrayIf(%d)(v%d, %s) AS values%d", metrics.MaxRows, i, valid, i))
		sum = fmt.Sprintf("arraySum(arrayMap((d, v) -> if(d = c, v, 0), cells%d, values%d))", i, i)
	}
	b.Groups = append(b.Groups, fmt.Sprintf("groupArrayIf(%d)(c%d, %s) AS cells%d", metrics.MaxRows, i, valid, i))
	b.Steps = append(b.Steps,
		fmt.Sprintf("arrayDistinct(cells%d) AS keys%d", i, i),
		b.kept(i),
		fmt.Sprintf("arrayMap(c -> toUInt64(%s), kept%d) AS sums%d", sum, i, i),
		fmt.Sprintf("arrayMap(s -> least(s, toUInt64(%d)), sums%d) AS capped%d", m.Bounds.PerKey, i, i),
		fmt.Sprintf("arraySum(capped%d) AS whole%d", i, i),
		fmt.Sprintf("NOT fits OR length(keys%d) > %d OR whole%d > %d OR sums%d != capped%d AS cut%d", i, m.Bounds.Keys, i, m.Bounds.Total, i, i, i))
	b.append(fmt.Sprintf("kept%d", i), fmt.Sprintf("if(whole%d > %d, arrayMap(v -> intDiv(v * toUInt64(%d), whole%d), capped%d), capped%d)",
		i, m.Bounds.Total, m.Bounds.Total, i, i, i))
}

// kept says which of a unit's keys count.
func (b *builder) kept(i int) string {
	m, key := b.list[i], newHashKey(b.list[i], b.period)
	keys := fmt.Sprintf("keys%d", i)
	if m.Bounds.Keys < int64(m.Cells()) {
		keys = fmt.Sprintf("if(length(keys%[1]d) <= %[2]d, keys%[1]d, arraySlice(arraySort(c -> sipHash64Keyed((toUInt64(%[3]d), toUInt64(%[4]d)), bitXor(unit, toUInt64(c - %[5]d))), keys%[1]d), 1, %[2]d))",
			i, m.Bounds.Keys, key.a, key.b, b.base[i])
	}
	return fmt.Sprintf("if(fits, %s, []) AS kept%d", keys, i)
}

// finish adds what metrics share. A unit's votes are the rows' codes of all
// metrics one after the other, each with the part that a row of its metric has.
func (b *builder) finish() {
	if n := len(b.votes); n > 0 {
		reported := make([]string, n)
		for i, c := range b.votes {
			reported[i] = fmt.Sprintf("toUInt32(%s != 0)", c)
		}
		b.Groups = append(b.Groups,
			fmt.Sprintf("groupArrayArray(%d)([%s]) AS votes", metrics.MaxRows*n, strings.Join(b.votes, ", ")),
			fmt.Sprintf("sumForEach([%s]) AS reported", strings.Join(reported, ", ")))
		b.Steps = append(b.Steps, fmt.Sprintf("arrayMap(n -> toUInt64(intDiv(%d, greatest(n, 1))), reported) AS shares", metrics.Vote))
		b.append("if(fits, votes, [])", "arrayFlatten(arrayWithConstant(if(fits, rows, 0), shares))")
	}
	if len(b.present) > 0 {
		b.Groups = append(b.Groups, fmt.Sprintf("groupUniqArrayArray([%s]) AS present", strings.Join(b.present, ", ")))
	}
	if n := len(b.marks); n > 0 {
		b.append(fmt.Sprintf("arrayMap(c -> %s(c), [%s])", b.code, strings.Join(b.marks, ", ")), fmt.Sprintf("arrayWithConstant(%d, toUInt64(1))", n))
	}
}

func (b *builder) append(codes, parts string) {
	b.Codes, b.Parts = append(b.Codes, codes), append(b.Parts, parts)
}

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

// codeExpression is the code of a row's key in the public set of metric i, or 0
// where it has none.
func (b *builder) codeExpression(i int) string {
	m := b.list[i]
	if len(m.Keys) == 0 {
		return fmt.Sprint(b.base[i] + 1)
	}
	var reported []string
	cell := "0"
	for _, k := range m.Keys {
		p := b.position(positionExpression(columnName(m.Source, k.Column), k))
		reported = append(reported, p+" != 0")
		cell = fmt.Sprintf("(%s * %d + %s - 1)", cell, len(k.Values), p)
	}
	return fmt.Sprintf("if(%s, %s + %d, 0)", strings.Join(reported, " AND "), cell, b.base[i]+1)
}

func (b *builder) position(expression string) string {
	alias, ok := b.positions[expression]
	if !ok {
		alias = fmt.Sprintf("p%d", len(b.positions))
		b.positions[expression] = alias
		b.Columns = append(b.Columns, expression+" AS "+alias)
	}
	return alias
}

// positionExpression is the position of a value in the public set, from 1. What
// was not reported has none.
func positionExpression(column string, k metrics.Key) string {
	var values, positions []string
	otherwise := 0
	for i, v := range k.Values {
		switch {
		case k.Enum != nil:
			v = fmt.Sprint(k.Enum[i]) // texts would have to be made for every row
		case !k.Numeric:
			v = quote(v)
		}
		values, positions = append(values, v), append(positions, fmt.Sprint(i+1))
		if k.Values[i] == k.Otherwise {
			otherwise = i + 1
		}
	}
	switch {
	case k.Enum != nil:
		column = fmt.Sprintf("toInt8(%s)", column)
	case k.Optional:
		column = fmt.Sprintf("ifNull(toInt64(%s), -1)", column)
	case k.Numeric:
		column = fmt.Sprintf("toInt64(%s)", column)
	default:
		values, positions = append(values, "''"), append(positions, "0")
		column = fmt.Sprintf("toString(%s)", column)
	}
	return fmt.Sprintf("transform(%s, [%s], [%s], %d)", column, strings.Join(values, ", "), strings.Join(positions, ", "), otherwise)
}

var escaper = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

func quote(s string) string { return "'" + escaper.Replace(s) + "'" }
