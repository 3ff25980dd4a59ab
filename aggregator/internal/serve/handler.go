package serve

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// frontPage is what the address without a name means.
const frontPage = "index.html"

// types are the files that a site consists of. Others are not there.
var types = map[string]string{
	".html":    "text/html; charset=utf-8",
	".css":     "text/css; charset=utf-8",
	".svg":     "image/svg+xml",
	".csv":     "text/csv; charset=utf-8; header=present",
	".json":    "application/json",
	".parquet": "application/vnd.apache.parquet",
}

// Policy lets a page load its style sheet and images from its own site, and
// nothing else from anywhere; the pages carry the part of it that a page can.
const Policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// headers are those of every answer, also of refusals. A page may be kept, and is
// asked for again each time: the entity tag makes that cheap and a new week visible.
var headers = map[string]string{
	"Content-Security-Policy":      Policy,
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "browsing-topics=()",
	"Cache-Control":                "no-cache",
}

// Handler answers GET and HEAD with the files of a site.
func Handler(site fs.FS) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "this site is read-only", http.StatusMethodNotAllowed)
			return
		}
		if err := answer(w, r, site); err != nil {
			// Why it is not there is nobody's business: the text could hold a path.
			http.Error(w, "there is no such page", http.StatusNotFound)
		}
	})
}

// answer sends a file, or returns an error before anything is sent.
func answer(w http.ResponseWriter, r *http.Request, site fs.FS) error {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = frontPage
	}
	kind, ok := types[path.Ext(name)]
	if !ok || !fs.ValidPath(name) || hidden(name) {
		return fs.ErrNotExist
	}
	file, err := site.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	content, ok := file.(io.ReadSeeker)
	if !ok || !info.Mode().IsRegular() {
		return fs.ErrNotExist
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("ETag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	http.ServeContent(w, r, name, info.ModTime(), content)
	return nil
}

// hidden reports whether a part of a name begins with a dot.
func hidden(name string) bool { return strings.HasPrefix(name, ".") || strings.Contains(name, "/.") }
