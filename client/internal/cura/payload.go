package cura

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxPayload bounds one payload. Cura's own have a median of 2.6 kB; a plate with
// hundreds of models stays below a tenth of this.
const MaxPayload = 1 << 20

// The errors of a payload that is not imported at all.
var (
	ErrTooLarge = errors.New("the payload is too large")
	ErrSyntax   = errors.New("the payload is not a JSON object")
	ErrNotCura  = errors.New("the payload has no field of Cura's slice information")
)

// payload is one payload in the flat form: a value, or a list with one value an
// extruder or model, by name.
type payload map[string]any

// parse reads a payload of either form.
func parse(data []byte) (payload, error) {
	if len(data) > MaxPayload {
		return nil, ErrTooLarge
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil || object == nil {
		return nil, syntaxError(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: there is more after it", ErrSyntax)
	}
	p := payload{}
	if nested(object) {
		for name, value := range object {
			p.flatten(rename(strings.ToLower(name)), value)
		}
	} else {
		for name, value := range object {
			p[strings.ToLower(name)] = value
		}
	}
	for name := range p {
		if _, known := fields[name]; known {
			return p, nil
		}
	}
	return nil, ErrNotCura
}

// syntaxError says where, and never what: the text is somebody's data.
func syntaxError(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%w (at octet %d)", ErrSyntax, syntax.Offset)
	}
	return ErrSyntax
}

// nested tells the form of Cura up to 5.8, schema_version 0, from the later one:
// it holds objects, or lists of objects.
func nested(object map[string]any) bool {
	for _, value := range object {
		switch v := value.(type) {
		case map[string]any:
			return true
		case []any:
			if len(v) > 0 {
				if _, ok := v[0].(map[string]any); ok {
					return true
				}
			}
		}
	}
	return false
}

// flatten files a value of the nested form under its flat name. A list of
// objects becomes one list a leaf, with nil where an object lacks it, so that,
// unlike in Cura's own flat form, the lists stay aligned.
func (p payload) flatten(name string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			p.flatten(join(name, strings.ToLower(key)), inner)
		}
	case []any:
		if objects := objectsOf(v); objects != nil {
			p.flattenList(name, objects)
			return
		}
		p[name] = v
	default:
		p[name] = v
	}
}

func objectsOf(list []any) []map[string]any {
	var objects []map[string]any
	for _, element := range list {
		object, ok := element.(map[string]any)
		if !ok {
			return nil
		}
		objects = append(objects, object)
	}
	return objects
}

func (p payload) flattenList(name string, objects []map[string]any) {
	for i, object := range objects {
		leaves := payload{}
		leaves.flatten(name, object)
		for leaf, value := range leaves {
			list, _ := p[leaf].([]any)
			if list == nil {
				list = make([]any, len(objects))
				p[leaf] = list
			}
			list[i] = value
		}
	}
}

// renames are what Cura's flat form does to the first parts of a name.
var renames = []struct{ from, to string }{
	{"extruders_extruder_settings", "extruders"},
	{"models_model_settings", "models_settings"},
	{"models_transformation_data", "models_transformation"},
	{"print_settings", ""},
	{"print_times", "print_time"},
	{"active_machine", ""},
	{"slice_uuid", "slice_id"},
}

func rename(name string) string {
	for _, r := range renames {
		if rest, found := strings.CutPrefix(name, r.from); found && (rest == "" || rest[0] == '_') {
			return strings.TrimPrefix(r.to+rest, "_")
		}
	}
	return name
}

func join(name, key string) string {
	if name == "" {
		return rename(key)
	}
	return rename(name + "_" + key)
}
