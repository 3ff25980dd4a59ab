package main

import (
	"strings"
	"testing"
)

func TestTuneAndPoison(t *testing.T) {
	rows := write(t, "rows.ndjson", strings.Repeat("{\"unit\": \"a\", \"keys\": {\"machine\": \"ultimaker_s5\"}}\n", 30))
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"tune", "-metric", "slices"}, "*"},
		{[]string{"tune", "-metric", "slices_by_machine", "-in", rows}, "*"},
		{[]string{"tune", "-metric", "slices", "-json"}, `"lost":`},
		{[]string{"poison", "-forged", "7"}, "7 forged installations"},
		{[]string{"poison", "-json"}, `"hidden":`},
	} {
		if out, _, err := run(tt.args...); err != nil || !strings.Contains(out, tt.want) {
			t.Errorf("%v: %v\n%s", tt.args, err, out)
		}
	}
	for _, args := range [][]string{{"tune", "-metric", "nothing"}, {"tune", "-metric", "layer_height"}, {"tune", "-metric", "slices", "-in", rows + "x"}} {
		if _, _, err := run(args...); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}
