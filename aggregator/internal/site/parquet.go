package site

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
	"github.com/slicemetry/slicemetry/internal/period"
)

// rowGroup is how many rows the library holds before it writes them.
const rowGroup = 50_000

// encodeParquet writes a metric's rows with the columns, in the order and of the
// types of its view published.<name>: keys typed, numbers in the metric's unit.
// What the metric is stands in the file's own notes.
func encodeParquet(out io.Writer, t Table) error {
	row := rowType(t)
	w := parquet.NewWriter(out, parquet.SchemaOf(reflect.New(row).Interface()), parquet.Compression(&zstd.Codec{}), parquet.MaxRowsPerRowGroup(rowGroup),
		parquet.CreatedBy("slicemetry", "", ""),
		parquet.KeyValueMetadata("title", t.Metric.Title),
		parquet.KeyValueMetadata("question", t.Metric.Question),
		parquet.KeyValueMetadata("unit", t.Metric.Unit))
	for _, r := range t.Rows {
		v := reflect.New(row)
		if err := fillRow(v.Elem(), t, r); err != nil {
			return err
		}
		if err := w.Write(v.Interface()); err != nil {
			return fmt.Errorf("encode: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return nil
}

// rowType makes the struct of a row: the library reads columns and their order
// from one, and each metric has keys of its own.
func rowType(t Table) reflect.Type {
	field := func(name string, kind any, more string) reflect.StructField {
		return reflect.StructField{Name: "Column_" + name, Type: reflect.TypeOf(kind), Tag: reflect.StructTag(`parquet:"` + name + more + `"`)}
	}
	fields := []reflect.StructField{field("period", int32(0), ",date")}
	for _, k := range t.Metric.Keys {
		if k.Numeric {
			fields = append(fields, field(k.Column, uint32(0), ""))
		} else {
			fields = append(fields, field(k.Column, "", ",dict"))
		}
	}
	for _, name := range []string{"value", "value_raw", "std_err", "ci95_lo", "ci95_hi"} {
		fields = append(fields, field(name, float64(0), ""))
	}
	return reflect.StructOf(append(fields, field("status", "", ",dict"), field("clip_share", (*float64)(nil), ",optional")))
}

func fillRow(v reflect.Value, t Table, r publish.Statistic) error {
	week, err := period.Parse(r.Week)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	v.Field(0).SetInt(week.Start().Unix() / int64(24*time.Hour/time.Second))
	next := 1
	for i, k := range t.Metric.Keys {
		if k.Numeric {
			n, err := strconv.ParseUint(r.Key[i], 10, 32)
			if err != nil {
				return fmt.Errorf("encode: the key %s: %w", k.Column, err)
			}
			v.Field(next).SetUint(n)
		} else {
			v.Field(next).SetString(r.Key[i])
		}
		next++
	}
	scale := float64(r.Scale)
	for _, number := range []float64{float64(r.Value), float64(r.Raw), r.StdErr, float64(r.Low), float64(r.High)} {
		v.Field(next).SetFloat(number / scale)
		next++
	}
	v.Field(next).SetString(r.Status)
	v.Field(next + 1).Set(reflect.ValueOf(r.ClipShare))
	return nil
}
