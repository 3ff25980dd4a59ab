package main

import (
	"context"
	"reflect"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/runners/direct"
	"github.com/google/differential-privacy/privacy-on-beam/v3/pbeam"
)

func init() {
	beam.RegisterType(reflect.TypeOf(row{}))
	beam.RegisterFunction(machine)
	beam.RegisterFunction(spread)
}

// row is one output of one unit.
type row struct {
	Unit    int64
	Machine int64
}

func machine(r row) int64 { return r.Machine }

// rowsAtOnce is how many rows an element of the source is made into.
const rowsAtOnce = 10_000

// spread makes rows of a block's number.
func spread(block int64, emit func(row)) {
	for i := block * rowsAtOnce; i < (block+1)*rowsAtOnce; i++ {
		emit(row{Unit: i / 10, Machine: (i * 2654435761 >> 7) & 3})
	}
}

// count counts rows by machine, within the bounds that ours has.
func count(rows int) error {
	spec, err := pbeam.NewPrivacySpec(pbeam.PrivacySpecParams{AggregationEpsilon: 1, AggregationDelta: 1e-8})
	if err != nil {
		return err
	}
	p, s := beam.NewPipelineWithRoot()
	blocks := make([]int64, rows/rowsAtOnce)
	for i := range blocks {
		blocks[i] = int64(i)
	}
	made := beam.ParDo(s, spread, beam.CreateList(s, blocks))
	private := pbeam.MakePrivateFromStruct(s, made, spec, "Unit")
	keys := pbeam.ParDo(s, machine, private)
	public := beam.CreateList(s, []int64{0, 1, 2, 3})
	pbeam.Count(s, keys, pbeam.CountParams{
		MaxPartitionsContributed: 2, MaxValue: 40, PublicPartitions: public, NoiseKind: pbeam.GaussianNoise{},
	})
	_, err = direct.Execute(context.Background(), p)
	return err
}
