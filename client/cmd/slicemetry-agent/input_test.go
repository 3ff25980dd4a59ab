package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/client/clienttest"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// granted returns a folder whose user agreed.
func granted(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, said, code := run(t, "", "consent", "grant", "-dir", dir); code != exitOK {
		t.Fatal(said)
	}
	return dir
}

// events returns the events that are held.
func events(t *testing.T, dir string) []map[string]any {
	t.Helper()
	out, said, code := run(t, "", "export", "-dir", dir)
	if code != exitOK {
		t.Fatal(said)
	}
	var list []map[string]any
	for line := range strings.Lines(out) {
		var record struct{ Event map[string]any }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		list = append(list, record.Event)
	}
	return list
}

// What a newer host reports and this agent does not know is named and left out;
// the rest is kept, and a name that is no text counts as one that is not listed.
func TestTheRestIsKept(t *testing.T) {
	for _, tt := range []struct {
		name, input, complaint string
		code                   int
		machine                any // nil: nothing is kept
	}{
		{"field", `{"machine": "ultimaker_s5", "layerColour": "Anna"}`, `event 1: not a telemetry.v1.Slice (line 1:29): unknown field "layerColour"; the rest is taken`, exitBadInput, "ultimaker_s5"},
		{"field of an extruder", `{"machine": "ultimaker_s5", "extruders": [{"hue": 7}]}`, `unknown field "hue"`, exitBadInput, "ultimaker_s5"},
		{"choice", `{"machine": "ultimaker_s5", "adhesion": "Anna"}`, "adhesion", exitBadInput, "ultimaker_s5"},
		{"nothing else", `{"layerColour": "Anna"}`, `unknown field "layerColour"`, exitBadInput, nil},
		{"wrong and unknown", `{"layerColour": 1, "machine": 7}`, "machine", exitBadInput, nil},
		{"no text", "{\"machine\": \"ultimaker_\xffs5\"}", "", exitOK, "custom"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := granted(t)
			out, said, code := run(t, tt.input, "record", "-dir", dir)
			if code != tt.code || !strings.Contains(said, tt.complaint) || strings.Contains(out+said, "Anna") {
				t.Errorf("exit code %d, want %d: %s", code, tt.code, said)
			}
			var machine any
			for _, e := range events(t, dir) {
				machine = e["machine"]
			}
			if machine != tt.machine {
				t.Errorf("kept %v, want %v", machine, tt.machine)
			}
		})
	}
}

// Whoever records is told what was not kept.
func TestWhatIsNotKept(t *testing.T) {
	const event = `{"machine": "ultimaker_s5"}`
	t.Run("disk", func(t *testing.T) {
		dir := granted(t)
		spool := filepath.Join(dir, "spool")
		if err := errors.Join(os.RemoveAll(spool), os.WriteFile(spool, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct{ command, input string }{{"record", event + event}, {"count", `{"slicesStarted": 1}{"slicesFinished": 1}`}} {
			if _, said, code := run(t, tt.input, tt.command, "-dir", dir); code != exitNotKept || !strings.Contains(said, "2: the disk") {
				t.Errorf("%s: exit code %d, want %d: %s", tt.command, code, exitNotKept, said)
			}
		}
	})
	t.Run("limit of a week", func(t *testing.T) {
		_, said, code := run(t, strings.Repeat("{}", 10_002), "record", "-dir", granted(t))
		if code != exitNotKept || !strings.Contains(said, "2: more than a week's limit") {
			t.Errorf("exit code %d, want %d: %s", code, exitNotKept, said)
		}
	})
}

// record dies of a signal like any program that reads, and what it read is kept.
func TestRecordDiesOfASignal(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		dir := granted(t)
		cmd := command(t, nil, "record", "-dir", dir)
		in, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(in, `{"machine": "ultimaker_s5"}`); err != nil {
			t.Fatal(err)
		}
		for range 500 {
			if len(events(t, dir)) == 1 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Errorf("%v does not end it", signal)
			_ = cmd.Process.Kill()
			<-ended
		}
		if n := len(events(t, dir)); n != 1 {
			t.Errorf("%v: %d events are kept, want 1", signal, n)
		}
	}
}

func TestCount(t *testing.T) {
	r, dir := clienttest.Start(t), granted(t)
	for range 2 {
		if _, said, code := run(t, `{"slicesStarted": 2, "slicesFinished": 1}{"slicesCancelled": 1, "mood": "Anna"}`, "count", "-dir", dir); code != exitBadInput ||
			!strings.Contains(said, `event 2: not a telemetry.v1.UsageCounters`) || strings.Contains(said, "Anna") {
			t.Fatalf("exit code %d: %s", code, said)
		}
	}
	if _, said, code := run(t, "", "flush", "-dir", dir, "-endpoint", r.Addr(), "-plaintext"); code != exitOK {
		t.Fatal(said)
	}
	sum := &telemetryv1.UsageCounters{}
	for _, q := range r.Requests() {
		c := q.GetBatch().GetCounters()
		sum.SlicesStarted, sum.SlicesFinished, sum.SlicesCancelled = sum.SlicesStarted+c.GetSlicesStarted(), sum.SlicesFinished+c.GetSlicesFinished(), sum.SlicesCancelled+c.GetSlicesCancelled()
	}
	if want := (&telemetryv1.UsageCounters{SlicesStarted: 4, SlicesFinished: 2, SlicesCancelled: 2}); !proto.Equal(sum, want) {
		t.Errorf("arrived %v, want %v", sum, want)
	}
}

// A developer sees what becomes of an event, without a user who agreed.
func TestCheck(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "untouched")
	out, said, code := run(t, `{"machine": "Ultimaker S5", "layerHeightUm": 201}{"machine": "ultimaker_s5"}{"hue": 1}`, "record", "-check", "-dir", dir)
	if code != exitBadInput || out != `{"machine":"custom","layerHeightUm":200}`+"\n"+`{"machine":"ultimaker_s5"}`+"\n" {
		t.Errorf("exit code %d: %s", code, out)
	}
	for _, want := range []string{"event 1: machine: not in the catalogue (generalised)", "event 1: layer_height_um: rounded to the grid (bucketed)", `event 3: not a telemetry.v1.Slice`} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not said:\n%s", want, said)
		}
	}
	if strings.Contains(said, "event 2") {
		t.Errorf("nothing becomes of event 2: %s", said)
	}
	if out, _, code := run(t, `{"definition_id": "ultimaker_s5"}`, "record", "-check", "-format", "cura", "-dir", dir); code != exitOK || !strings.Contains(out, `"ultimaker_s5"`) {
		t.Errorf("exit code %d: %s", code, out)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a check made %s", dir)
	}
}

// Every value that fields lists is taken as it is by record.
func TestValues(t *testing.T) {
	if out, _, code := run(t, "", "fields", "-json"); code != exitOK || !strings.Contains(out, `"extruders.used_mg"`) || !strings.Contains(out, `"extruders.usedMg"`) || !strings.Contains(out, `"retention"`) {
		t.Errorf("exit code %d: %.300s", code, out)
	}
	for field, event := range map[string]string{
		"machine": `{"machine": %}`, "adhesion": `{"adhesion": %}`, "infillPattern": `{"infillPattern": %}`, "extruders.material_type": `{"extruders": [{"materialType": %}]}`,
		"changed_settings": `{"changedSettings": [%]}`, "support": `{"support": %}`,
	} {
		out, said, code := run(t, "", "fields", "-values", field)
		if code != exitOK {
			t.Fatal(said)
		}
		var all strings.Builder
		for value := range strings.Lines(out) {
			all.WriteString(strings.ReplaceAll(event, "%", strconv.Quote(strings.TrimSpace(value))))
		}
		if out, said, code := run(t, all.String(), "record", "-check"); code != exitOK || said != "" || out == "" {
			t.Errorf("%s: exit code %d: %s", field, code, said)
		}
	}
}
