package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a user is told is what holds: a yes that changes nothing is no success, and
// a host whose text is too old is not told to ask.
func TestGrantThatChangesNothing(t *testing.T) {
	for _, tt := range []struct {
		name, said  string   // by the collector
		environment []string // of the host
		args        []string
		code        int
		state       string
		ask         bool // before
	}{
		{name: "yes", ask: true, code: exitOK, state: `"state": "granted"`},
		{name: "flags after the word", ask: true, args: []string{"-kinds", "machine,material"}, code: exitOK, state: `"material"`},
		{name: "a newer policy", said: `{"policy": 2}`, code: exitNoConsent, state: `"rule": "policy version 2 has not been agreed to"`},
		{name: "the newer policy is shown", ask: true, said: `{"policy": 2}`, args: []string{"-policy", "2"}, code: exitOK, state: `"state": "granted"`},
		{name: "switched off", environment: []string{"DO_NOT_TRACK=1"}, code: exitNoConsent, state: `"rule": "environment: DO_NOT_TRACK"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.said != "" { // in answer to what was sent before
				run(t, "", "consent", "grant", "-dir", dir)
				if err := os.WriteFile(filepath.Join(dir, "collector.json"), []byte(tt.said), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			flags := append([]string{"-dir", dir, "-json"}, tt.args...)
			if out, _, _ := runIn(t, tt.environment, "", append([]string{"consent", "status"}, flags...)...); strings.Contains(out, `"ask": true`) != tt.ask {
				t.Errorf("before: %s", out)
			}
			out, said, code := runIn(t, tt.environment, "", append([]string{"consent", "grant"}, flags...)...)
			if code != tt.code || !strings.Contains(out, tt.state) || (code != exitOK) != strings.Contains(said, "nothing is recorded") {
				t.Errorf("exit code %d, want %d; %s%s", code, tt.code, out, said)
			}
			if out, _, _ := runIn(t, tt.environment, "", append([]string{"consent", "status"}, flags...)...); !strings.Contains(out, `"ask": false`) {
				t.Errorf("asked again: %s", out)
			}
		})
	}
}

// A host that shows a newer policy than was agreed to is to ask.
func TestAskedForANewerPolicy(t *testing.T) {
	dir := t.TempDir()
	run(t, "", "consent", "grant", "-dir", dir)
	for policy, want := range map[string]string{"1": `"ask": false`, "2": `"ask": true`} {
		if out, _, _ := run(t, "", "consent", "status", "-json", "-dir", dir, "-policy", policy); !strings.Contains(out, want) {
			t.Errorf("policy %s: %s", policy, out)
		}
	}
}

// Settings of the network that are wrong keep nobody from looking and withdrawing,
// and no event from being kept.
func TestWithoutANetwork(t *testing.T) {
	for _, setting := range []string{"CA=/no/such", "ENDPOINT=nowhere", "PROXY=ftp://host", "PIN=one"} {
		dir := t.TempDir()
		wrong := []string{"SLICEMETRY_DIR=" + dir, "SLICEMETRY_" + setting}
		for _, step := range []struct {
			want int
			args string
		}{
			{exitOK, "consent grant"}, {exitOK, "record"}, {exitOK, "preview"}, {exitOK, "sent"}, {exitOK, "export"}, {exitOK, "fields"},
			{exitOK, "status"}, {exitOK, "consent status"}, {exitUsage, "flush"}, {exitUsage, "erase"}, {exitOK, "consent withdraw"},
		} {
			if out, said, code := runIn(t, wrong, `{"machine": "ultimaker_s5"}`, strings.Fields(step.args)...); code != step.want {
				t.Errorf("%s: %s: exit code %d, want %d: %s%s", setting, step.args, code, step.want, out, said)
			}
		}
		if out, _, _ := run(t, "", "consent", "status", "-dir", dir); !strings.HasPrefix(out, "refused") {
			t.Errorf("%s: after withdrawal: %s", setting, out)
		}
	}
}
