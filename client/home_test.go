package client_test

import (
	"os"
	"testing"

	"github.com/slicemetry/slicemetry/client"
)

// A user without a home has no place for a decision: there is no client, the host
// hears why and goes on, and nothing is written wherever it happens to run.
func TestNoHome(t *testing.T) {
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "AppData"} {
		t.Setenv(name, "")
	}
	t.Chdir(t.TempDir())
	c, err := client.Open(client.Config{Endpoint: "127.0.0.1:1", Plaintext: true, Getenv: nothing})
	if err == nil {
		t.Error("Open() works without a folder")
	}
	c.Record(numbered(0))
	if s := c.Status(); s.Consent.State != client.Unknown {
		t.Errorf("%s", s.Consent.State)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) != 0 {
		t.Errorf("%d files were made, %v", len(entries), err)
	}
}
