package serve

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newSite makes a small site beside a file that is none of its own.
func newSite(t *testing.T) (dir string) {
	t.Helper()
	parent := t.TempDir()
	dir = filepath.Join(parent, "www")
	for name, text := range map[string]string{
		"../secret.html": "secret", "index.html": "<h1>front</h1>", "style.css": "p{}", "icon.svg": "<svg/>", "metric/slices.html": "<h1>slices</h1>",
		"data/slices.csv": "a\n", "data/slices.json": "{}", "data/slices.parquet": "PAR1", "data/slices.csv.new": "half", ".hidden/a.html": "no", "notes.txt": "no",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../secret.html", filepath.Join(dir, "link.html")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func handlerOf(t *testing.T, dir string) http.Handler {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return Handler(root.FS())
}

func ask(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", nil)
	r.URL.Path = target // as it may come from the wire, not cleaned
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAnswers(t *testing.T) {
	h := handlerOf(t, newSite(t))
	tests := []struct {
		method, path string
		status       int
		kind, body   string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", "<h1>front</h1>"},
		{"GET", "/index.html", 200, "text/html; charset=utf-8", "<h1>front</h1>"},
		{"GET", "/metric/slices.html", 200, "text/html; charset=utf-8", "<h1>slices</h1>"},
		{"GET", "/style.css", 200, "text/css; charset=utf-8", "p{}"},
		{"GET", "/icon.svg", 200, "image/svg+xml", "<svg/>"},
		{"GET", "/data/slices.csv", 200, "text/csv; charset=utf-8; header=present", "a\n"},
		{"GET", "/data/slices.json", 200, "application/json", "{}"},
		{"GET", "/data/slices.parquet", 200, "application/vnd.apache.parquet", "PAR1"},
		{"HEAD", "/", 200, "text/html; charset=utf-8", ""},
		{"GET", "/data", 404, "", "there is no such page\n"},
		{"GET", "/data/", 404, "", "there is no such page\n"},
		{"GET", "/metric", 404, "", "there is no such page\n"},
		{"GET", "/notes.txt", 404, "", "there is no such page\n"},
		{"GET", "/data/slices.csv.new", 404, "", "there is no such page\n"},
		{"GET", "/.hidden/a.html", 404, "", "there is no such page\n"},
		{"GET", "/../secret.html", 404, "", "there is no such page\n"},
		{"GET", "/metric/../../secret.html", 404, "", "there is no such page\n"},
		{"GET", "//secret.html", 404, "", "there is no such page\n"},
		{"GET", "/link.html", 404, "", "there is no such page\n"},
		{"GET", "/index.html\x00.html", 404, "", "there is no such page\n"},
		{"POST", "/", 405, "", "this site is read-only\n"},
		{"PUT", "/index.html", 405, "", "this site is read-only\n"},
		{"DELETE", "/index.html", 405, "", "this site is read-only\n"},
		{"OPTIONS", "/", 405, "", "this site is read-only\n"},
		{"TRACE", "/", 405, "", "this site is read-only\n"},
	}
	for _, tt := range tests {
		w := ask(h, tt.method, tt.path)
		if w.Code != tt.status || w.Body.String() != tt.body || tt.kind != "" && w.Header().Get("Content-Type") != tt.kind {
			t.Errorf("%s %q: %d %q %q, want %d %q %q", tt.method, tt.path, w.Code, w.Header().Get("Content-Type"), w.Body, tt.status, tt.kind, tt.body)
		}
		for name, want := range headers {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s %q: %s is %q, want %q", tt.method, tt.path, name, got, want)
			}
		}
		if w.Header().Get("Set-Cookie") != "" || w.Header().Get("Server") != "" {
			t.Errorf("%s %q: headers %v", tt.method, tt.path, w.Header())
		}
	}
}

// Who has a file asks whether it changed, and gets it when it did.
func TestEntityTag(t *testing.T) {
	dir := newSite(t)
	h := handlerOf(t, dir)
	first := ask(h, "GET", "/")
	tag := first.Header().Get("ETag")
	if again := ask(h, "GET", "/", "If-None-Match", tag); tag == "" || again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("with the tag %q: %d, want not modified", tag, again.Code)
	}
	// As the writer does it: beside its place, then there.
	if err := os.WriteFile(filepath.Join(dir, "index.html.new"), []byte("<h1>later</h1>"), 0o644); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Second)
	if err := os.Chtimes(filepath.Join(dir, "index.html.new"), later, later); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "index.html.new"), filepath.Join(dir, "index.html")); err != nil {
		t.Fatal(err)
	}
	if changed := ask(h, "GET", "/", "If-None-Match", tag); changed.Code != http.StatusOK || changed.Body.String() != "<h1>later</h1>" {
		t.Errorf("after a change: %d %q", changed.Code, changed.Body)
	}
	if part := ask(h, "GET", "/", "Range", "bytes=4-8"); part.Code != http.StatusPartialContent || part.Body.String() != "later" {
		t.Errorf("a part: %d %q", part.Code, part.Body)
	}
}

// The end of ctx stops it after the answers under way, and no goroutine stays.
func TestRun(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	addr, done := make(chan net.Addr, 1), make(chan error, 1)
	go func() { done <- Run(ctx, newSite(t), "127.0.0.1:0", func(a net.Addr) { addr <- a }) }()
	where := (<-addr).String()
	answer, err := http.Get("http://" + where + "/")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || string(body) != "<h1>front</h1>" {
		t.Errorf("got %q, %v", body, err)
	}
	// A connection that never asks does not keep it from stopping.
	silent, err := net.Dial("tcp", where)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not stop")
	}
	if _, err := net.DialTimeout("tcp", where, time.Second); err == nil {
		t.Error("it listens after it stopped")
	}
}

func TestRunRefuses(t *testing.T) {
	empty := t.TempDir()
	for name, tt := range map[string]struct{ dir, listen, want string }{
		"no folder":  {filepath.Join(empty, "nothing"), "127.0.0.1:0", "nothing"},
		"no site":    {empty, "127.0.0.1:0", "no site"},
		"no address": {newSite(t), "127.0.0.1:port", "127.0.0.1:port"},
	} {
		err := Run(t.Context(), tt.dir, tt.listen, nil)
		// The resolver's words for a bad port differ.
		if err == nil || name != "no address" && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
