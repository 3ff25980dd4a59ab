package client_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slicemetry/slicemetry/client"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// newestPolicy returns the latest version of the privacy policy and the lines of its
// file: each field that its readers agreed to, with its kind of data.
func newestPolicy(t *testing.T) (version uint32, lines []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "policy-*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	newest := ""
	for _, path := range paths {
		var n uint32
		if _, err := fmt.Sscanf(filepath.Base(path), "policy-%d.txt", &n); err == nil && n > version {
			version, newest = n, path
		}
	}
	content, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	return version, strings.Split(strings.TrimSpace(string(content)), "\n")
}

// A field that is added, or that becomes another kind of data, needs another version
// of the policy: who agreed to the old one did not agree to it.
func TestFieldsArePolicys(t *testing.T) {
	version, agreed := newestPolicy(t)
	var all, missing []string
	for _, f := range rules.Fields() {
		line := fmt.Sprintf("%s.%s: %s", f.Message, f.Path, f.Category())
		all = append(all, line)
		if !slices.Contains(agreed, line) {
			missing = append(missing, line)
		}
	}
	slices.Sort(all)
	if len(missing) == 0 {
		return
	}
	t.Errorf("version %d of the privacy policy does not cover\n  %s\n"+
		"Who agreed to it did not agree to these. Leave its file as it is and:\n"+
		"1. write the lines below to client/testdata/policy-%d.txt,\n"+
		"2. make %d the default of Config.PolicyVersion, of the agent's -policy and of the hosts,\n"+
		"3. write the new policy and have the collectors announce it 30 days before (docs/adr/0014).\n\n%s",
		version, strings.Join(missing, "\n  "), version+1, version+1, strings.Join(all, "\n"))
}

// A client asks for the newest policy, where its host does not say.
func TestDefaultPolicyIsTheNewest(t *testing.T) {
	version, _ := newestPolicy(t)
	c := open(t, config(t.TempDir(), "127.0.0.1:1"))
	if err := c.Grant(version + 1); err == nil {
		t.Errorf("Grant(%d) of a policy without a file in testdata works", version+1)
	}
	if version > 1 {
		if err := c.Grant(version - 1); err != nil || c.Consent().State != client.Unknown {
			t.Errorf("the policy before the newest is %s, %v", c.Consent().State, err)
		}
	}
	if err := c.Grant(version); err != nil || c.Consent().State != client.Granted {
		t.Errorf("the newest policy is %s, %v", c.Consent().State, err)
	}
	if kinds := c.Consent().Categories; !slices.Equal(kinds, rules.AllCategories.Names()) {
		t.Errorf("agreed to %v", kinds)
	}
}
