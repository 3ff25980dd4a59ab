package site

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// rowGroup is how many rows the library holds before it writes them.
const rowGroup = 50_000

// parquetColumn is a column after those of the week and the keys.
type parquetColumn struct {
	name string
	kind any    // float64, *float64 where it may be missing, string
	more string // what the library is to know besides
}

func floats(names ...string) []parquetColumn {
	var list []parquetColumn
	for _, name := range names {
		list = append(list, parquetColumn{name, float64(0), ""})
	}
	return list
}

func optionalFloats(names ...string) []parquetColumn {
	var list []parquetColumn
	for _, name := range names {
		list = append(list, parquetColumn{name, (*float64)(nil), ",optional"})
	}
	return list
}

var (
	metricColumns = append(append(floats("value", "value_raw", "std_err", "ci95_lo", "ci95_hi"), parquetColumn{"status", "", ",dict"}), optionalFloats("clip_share")...)
	meanColumns   = append(append(append(optionalFloats("value", "value_raw", "std_err"), floats("ci95_lo", "ci95_hi")...), parquetColumn{"status", "", ",dict"}),
		floats("total", "total_std_err", "count", "count_std_err")...)
)

// encodeParquet writes a metric's rows with the columns, in the order and of the
// types of its view published.<name>: keys typed, numbers in the metric's unit.
// What the metric is stands in the file's own notes.
func encodeParquet(out io.Writer, t Table) error {
	w := newParquet(out, t.Metric.Keys, metricColumns, t.Metric.Title, t.Metric.Question, t.Metric.Unit)
	for _, r := range t.Rows {
		scale := float64(r.Scale)
		if err := w.write(r.Week, r.Key, float64(r.Value)/scale, float64(r.Raw)/scale, r.StdErr/scale, float64(r.Low)/scale, float64(r.High)/scale,
			r.Status, r.ClipShare); err != nil {
			return err
		}
	}
	return w.close()
}

// encodeMeanParquet does the same for a mean.
func encodeMeanParquet(out io.Writer, t MeanTable) error {
	w := newParquet(out, t.Mean.Total.Keys, meanColumns, t.Mean.Title, t.Mean.Question, t.Mean.Unit)
	for _, r := range t.Rows {
		if err := w.write(r.Week, r.Key, r.Value, r.Raw, r.StdErr, r.Low, r.High, r.Status, r.Total, r.TotalError, r.Count, r.CountError); err != nil {
			return err
		}
	}
	return w.close()
}

// parquetFile writes rows of a week, keys and columns.
type parquetFile struct {
	keys []metrics.Key
	row  reflect.Type
	out  *parquet.GenericWriter[any]
}

func newParquet(out io.Writer, keys []metrics.Key, columns []parquetColumn, title, question, unit string) *parquetFile {
	row := rowType(keys, columns)
	return &parquetFile{keys, row, parquet.NewGenericWriter[any](out, parquet.SchemaOf(reflect.New(row).Interface()), parquet.Compression(&zstd.Codec{}), parquet.MaxRowsPerRowGroup(rowGroup),
		parquet.CreatedBy("slicemetry", "", ""),
		parquet.KeyValueMetadata("title", title),
		parquet.KeyValueMetadata("question", question),
		parquet.KeyValueMetadata("unit", unit))}
}

// rowType makes the struct of a row: the library reads columns and their order
// from one, and each metric has keys of its own.
func rowType(keys []metrics.Key, columns []parquetColumn) reflect.Type {
	field := func(c parquetColumn) reflect.StructField {
		return reflect.StructField{Name: "Column_" + c.name, Type: reflect.TypeOf(c.kind), Tag: reflect.StructTag(`parquet:"` + c.name + c.more + `"`)}
	}
	fields := []reflect.StructField{field(parquetColumn{"period", int32(0), ",date"})}
	for _, k := range keys {
		if k.Numeric {
			fields = append(fields, field(parquetColumn{k.Column, uint32(0), ""}))
		} else {
			fields = append(fields, field(parquetColumn{k.Column, "", ",dict"}))
		}
	}
	for _, c := range columns {
		fields = append(fields, field(c))
	}
	return reflect.StructOf(fields)
}

// write writes a row. The values are those of the columns, in their order.
func (f *parquetFile) write(week string, key []string, values ...any) error {
	p, err := period.Parse(week)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	row := reflect.New(f.row)
	v := row.Elem()
	v.Field(0).SetInt(p.Start().Unix() / int64(24*time.Hour/time.Second))
	for i, k := range f.keys {
		if !k.Numeric {
			v.Field(1 + i).SetString(key[i])
			continue
		}
		n, err := strconv.ParseUint(key[i], 10, 32)
		if err != nil {
			return fmt.Errorf("encode: the key %s: %w", k.Column, err)
		}
		v.Field(1 + i).SetUint(n)
	}
	for i, value := range values {
		v.Field(1 + len(f.keys) + i).Set(reflect.ValueOf(value))
	}
	if _, err := f.out.Write([]any{row.Interface()}); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return nil
}

func (f *parquetFile) close() error {
	if err := f.out.Close(); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return nil
}
