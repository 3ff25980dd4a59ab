package collector_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/slicemetry/slicemetry/schema/migrations"
)

// The dashboard and the operations guide name metrics that exist, and each of the
// collector's own is in both.
func TestDocumentedMetrics(t *testing.T) {
	exported := start(t, nil).get(t, "/metrics")
	dashboard, err := os.ReadFile("../docs/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(dashboard) {
		t.Error("the dashboard is not JSON")
	}
	guide, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	series := regexp.MustCompile("_(bucket|sum|count)$") // of a histogram
	name := regexp.MustCompile(`slicemetry_[a-z_]+`)
	roles := regexp.MustCompile("slicemetry_(" + migrations.Collector + "|" + migrations.Aggregator + ")") // of the database
	for _, text := range []string{string(dashboard), roles.ReplaceAllString(string(guide), "")} {
		for _, metric := range name.FindAllString(text, -1) {
			if !strings.Contains(exported, "# TYPE "+series.ReplaceAllString(metric, "")+" ") {
				t.Errorf("%s is documented and does not exist", metric)
			}
		}
	}
	for _, line := range regexp.MustCompile(`# TYPE (slicemetry_\w+)`).FindAllStringSubmatch(exported, -1) {
		for place, text := range map[string][]byte{"dashboard": dashboard, "guide": guide} {
			if !strings.Contains(string(text), line[1]) {
				t.Errorf("%s is not in the %s", line[1], place)
			}
		}
	}
}
