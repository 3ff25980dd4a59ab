package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// maxAdded is what the client may add to a host's binary, on linux/amd64.
const maxAdded = 7_600_000

// TestBinarySize builds programs which each need a part of the client, prints
// what each part adds to an empty program, and holds the whole to its bound.
func TestBinarySize(t *testing.T) {
	if testing.Short() {
		t.Skip("builds six programs")
	}
	empty := built(t, "hello")
	for _, part := range []struct{ name, what string }{
		{"messages", "protobuf and the events"},
		{"rules", "the same, with coarsening and the catalogue"},
		{"zstd", "compression"},
		{"http", "HTTP/2 and TLS"},
	} {
		t.Logf("%-8s %5.2f MB  %s", part.name, megabytes(built(t, part.name)-empty), part.what)
	}
	added := built(t, "client") - empty
	t.Logf("%-8s %5.2f MB  everything: record, upload, export, erase", "client", megabytes(added))
	if added > maxAdded {
		t.Errorf("the client adds %.2f MB to a host, want at most %.2f", megabytes(added), megabytes(maxAdded))
	}
}

func megabytes(n int64) float64 { return float64(n) / 1e6 }

// built returns the size of a stripped program.
func built(t *testing.T, name string) int64 {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./testdata/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
