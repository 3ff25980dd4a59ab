package main

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// fieldInfo is a field as a person or a program wants to know it.
type fieldInfo struct {
	Message   string   `json:"message"`
	Field     string   `json:"field"`
	JSON      string   `json:"json"` // its name in the input of record and count
	Category  string   `json:"category"`
	Purpose   string   `json:"purpose"`
	Sent      string   `json:"sent"`
	Retention string   `json:"retention"`
	Metrics   []string `json:"metrics"`
}

func (a *agent) fields(context.Context) error {
	if a.values != "" {
		return a.printValues()
	}
	var list []fieldInfo
	for _, f := range rules.Fields() {
		list = append(list, fieldInfo{f.Message, f.Path, jsonPath(f.Path), f.Category(), f.Purpose(), f.Coarsening(), f.Retention(), f.Rule.Metrics})
	}
	if a.json {
		return a.printJSON(list)
	}
	for _, f := range list {
		fmt.Fprintf(a.out, "%s.%s\n  %s, for %s\n  sent: %s\n  kept: %s\n", f.Message, f.Field, f.Category, f.Purpose, f.Sent, f.Retention)
		if len(f.Metrics) > 0 {
			fmt.Fprintf(a.out, "  for:  %s\n", strings.Join(f.Metrics, ", "))
		}
	}
	return nil
}

// jsonPath is protobuf's JSON form of a path: "extruders.usedMg".
func jsonPath(path string) string {
	words := strings.Split(path, "_")
	for i, word := range words[1:] {
		words[i+1] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, "")
}

// printValues prints what may stand in one field, one value a line or as a list,
// in the form that record reads.
func (a *agent) printValues() error {
	for _, f := range rules.Fields() {
		if f.Message != "Slice" || f.Path != a.values && jsonPath(f.Path) != a.values {
			continue
		}
		names := f.Names()
		if f.IsEnum() {
			names = inputNames(f.Path)
		}
		if names == nil {
			return fmt.Errorf("-values: %s is no choice of names: %s", f.Path, f.Coarsening())
		}
		if a.json {
			return a.printJSON(names)
		}
		_, err := fmt.Fprintln(a.out, strings.Join(names, "\n"))
		return err
	}
	return fmt.Errorf("-values: there is no field %q; \"fields\" lists them", a.values)
}

// inputNames are an enumeration's names as JSON has them, but for "not reported".
func inputNames(path string) []string {
	fields := (&telemetryv1.Slice{}).ProtoReflect().Descriptor().Fields()
	values := fields.ByName(protoreflect.Name(path)).Enum().Values()
	var names []string
	for i := 1; i < values.Len(); i++ {
		names = append(names, string(values.Get(i).Name()))
	}
	return names
}
