package rules

import (
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	privacyv1 "github.com/slicemetry/slicemetry/proto/privacy/v1"
	"github.com/slicemetry/slicemetry/schema/catalog"
	"github.com/slicemetry/slicemetry/schema/rules/internal/option"
)

// oracle applies the rules by reflection, as plainly as they read, sharing no
// code with coarsen.go or the generated functions. What it cannot say is which
// settings a sample holds; the caller keeps those few enough.
func oracle(m proto.Message) proto.Message {
	return oracleMessage(m.ProtoReflect()).Interface()
}

func oracleMessage(src protoreflect.Message) protoreflect.Message {
	dst := src.New()
	src.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if !fd.IsList() {
			dst.Set(fd, oracleValue(fd, v))
			return true
		}
		list := dst.Mutable(fd).List()
		for i := range v.List().Len() {
			oracleItem(fd, list, v.List().Get(i))
		}
		return true
	})
	return dst
}

func oracleItem(fd protoreflect.FieldDescriptor, list protoreflect.List, v protoreflect.Value) {
	rule := option.Rule(fd)
	if nested := rule.GetNested(); nested != nil {
		if list.Len() < int(nested.MaxItems) {
			list.Append(protoreflect.ValueOfMessage(oracleMessage(v.Message())))
		}
		return
	}
	for i := range list.Len() {
		if list.Get(i).String() == v.String() {
			return
		}
	}
	if !catalog.Contains(rule.GetAllow().List, v.String()) {
		return
	}
	list.Append(v)
	for i := list.Len() - 1; i > 0 && list.Get(i).String() < list.Get(i-1).String(); i-- { // they are sorted
		left, right := list.Get(i-1), list.Get(i)
		list.Set(i-1, right)
		list.Set(i, left)
	}
}

func oracleValue(fd protoreflect.FieldDescriptor, v protoreflect.Value) protoreflect.Value {
	switch c := option.Rule(fd).GetCoarsening().(type) {
	case *privacyv1.Rule_Allow:
		if catalog.Contains(c.Allow.List, v.String()) {
			return v
		}
		return protoreflect.ValueOfString(c.Allow.Otherwise)
	case *privacyv1.Rule_Declared:
		values := fd.Enum().Values()
		if values.ByNumber(v.Enum()) != nil {
			return v
		}
		for i := range values.Len() {
			if strings.HasSuffix(string(values.Get(i).Name()), "_OTHER") {
				return protoreflect.ValueOfEnum(values.Get(i).Number())
			}
		}
		return protoreflect.ValueOfEnum(0)
	}
	value := float64(v.Uint())
	candidates := oracleCandidates(fd)
	best := candidates[0]
	for _, candidate := range candidates {
		if math.Abs(float64(candidate)-value) <= math.Abs(float64(best)-value) {
			best = candidate
		}
	}
	if s := option.Rule(fd).GetLogScale(); s != nil {
		best = oracleLog(s, value)
	}
	return protoreflect.ValueOfUint32(best)
}

// oracleCandidates lists what a reported number may become.
func oracleCandidates(fd protoreflect.FieldDescriptor) []uint32 {
	rule := option.Rule(fd)
	if n := rule.GetNearest(); n != nil {
		values := slices.Clone(n.Values)
		if !fd.HasOptionalKeyword() {
			values = slices.DeleteFunc(values, func(v uint32) bool { return v == 0 })
		}
		return values
	}
	var values []uint32
	if g := rule.GetGrid(); g != nil {
		for v := g.Minimum; v <= g.Maximum; v += g.Step {
			values = append(values, v)
		}
		return values
	}
	return []uint32{0}
}

// oracleLog finds the bucket by logarithm instead of by search.
func oracleLog(s *privacyv1.LogScale, value float64) uint32 {
	n := float64(s.StepsPerOctave)
	buckets := math.Ceil(n * math.Log2(float64(s.Maximum)/float64(s.Minimum)))
	k := math.Floor(n*math.Log2(value/float64(s.Minimum)) + 1e-9)
	k = min(max(k, 0), buckets-1)
	low := math.Ceil(float64(s.Minimum) * math.Pow(2, k/n))
	high := math.Ceil(float64(s.Minimum) * math.Pow(2, (k+1)/n))
	return uint32(min(math.Round(math.Sqrt(low*high)), high-1))
}
