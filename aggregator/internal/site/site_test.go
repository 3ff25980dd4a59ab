package site

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slicemetry/slicemetry/internal/operator"
)

// shown writes made-up content and returns its folder.
func shown(t *testing.T, weeks int) string {
	t.Helper()
	dir := t.TempDir()
	if keep := os.Getenv("SLICEMETRY_SITE"); keep != "" { // to look at it
		dir = filepath.Join(keep, t.Name())
	}
	write(t, dir, madeUp(t, weeks))
	return dir
}

// example answers for made-up content.
var example = operator.Operator{Name: "Example Printing", PrivacyContact: "privacy@example.org", Complaints: "https://example.org/complaints", AnswerDays: 45}

func write(t *testing.T, dir string, content *stored) {
	t.Helper()
	if err := Write(t.Context(), dir, content.plan.Outlook(), example, content); err != nil {
		t.Fatal(err)
	}
}

// What is missing is said, with the reason.
func TestMissing(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(shown(t, 10), "missing.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<a href="metric/prime_tower_use.html">Prime tower</a></th><td>2026-W46</td>`, // withheld
		`<a href="metric/wall_count.html">Wall count</a></th><td>2026-W37, 2026-W38`,  // never published
		"of low confidence", "3.1 % ± 0.8 %", "counted as “custom”",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not on the page", want)
		}
	}
}

// How to reach somebody is a link where a browser can follow it, and words otherwise.
func TestAddress(t *testing.T) {
	for text, want := range map[string]string{
		"privacy@example.org":                        "mailto:privacy@example.org",
		" https://example.org/complaints ":           "https://example.org/complaints",
		"http://example.org":                         "",
		"javascript:alert(1)":                        "",
		"https:":                                     "",
		"Data protection, 1 Example Street, Example": "",
		"Privacy <privacy@example.org>":              "",
		"privacy@example.org and by letter":          "",
	} {
		if got := newAddress(text); got.Link != want || got.Text != strings.TrimSpace(text) {
			t.Errorf("%q: %+v, want %q", text, got, want)
		}
	}
}

// What must not be claimed is on no page: "anonymous" stands only where it is
// denied, and nobody "never sees" an address or "prevents" forgery.
func TestNoFalseClaims(t *testing.T) {
	dir := shown(t, 2)
	names, err := filepath.Glob(filepath.Join(dir, "*.html"))
	if err != nil || len(names) < 9 {
		t.Fatalf("%d pages, %v", len(names), err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		page := strings.ToLower(strings.ReplaceAll(string(text), "pseudonymous, not anonymous", ""))
		for _, claim := range []string{"anonymous", "anonymi", "never see", "no data loss", "prevents", "cannot be identified", "100 % private", "guaranteed private"} {
			if strings.Contains(page, claim) {
				t.Errorf("%s claims %q", filepath.Base(name), claim)
			}
		}
	}
	statement, err := os.ReadFile(filepath.Join(dir, "privacy.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"5 weeks", "2.35", "52 weeks", "8.53", "1e-8", "at the latest 30 days", "What this does not cover", "consent withdraw", "agent erase", "address of the connection",
		"layer height um", "operator’s duty", "three times the μ"} {
		if !strings.Contains(string(statement), want) {
			t.Errorf("the statement does not say %q", want)
		}
	}
}
