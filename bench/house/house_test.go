// Package house tests the shape of the project: which folder may import which,
// what the client may drag into its host, and the sizes that keep it readable.
package house

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/slicemetry/slicemetry/"
	root   = "../.."
)

// arrows says what the packages of a folder may import of ours. The longest
// folder that holds a package decides.
var arrows = map[string][]string{
	"proto":          {"proto"},
	"internal":       {"internal"},
	"schema/catalog": {"schema/catalog"},
	"schema/rules":   {"proto", "schema/catalog", "schema/rules"},
	"schema":         {"proto", "schema", "internal"},
	"client":         {"proto", "schema/catalog", "schema/rules", "internal", "client"},
	"collector":      {"proto", "schema", "internal", "collector"},
	"aggregator":     {"proto", "schema", "internal", "aggregator"},
	"bench":          {"proto", "schema", "internal", "client", "collector", "aggregator", "bench"},
}

func TestArrows(t *testing.T) {
	for _, file := range goFiles(t) {
		folder := longestFolder(file.path)
		if folder == "" {
			t.Errorf("%s lies in no folder of the house", file.path)
			continue
		}
		for _, path := range file.imports() {
			ours, found := strings.CutPrefix(path, module)
			if found && !slices.ContainsFunc(arrows[folder], func(allowed string) bool { return within(ours, allowed) }) {
				t.Errorf("%s imports %s, but %s may only import %v", file.path, ours, folder, arrows[folder])
			}
		}
	}
}

func longestFolder(path string) string {
	var longest string
	for folder := range arrows {
		if within(path, folder) && len(folder) > len(longest) {
			longest = folder
		}
	}
	return longest
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// What a host application embeds must stay light, and messages lighter still.
func TestDependencies(t *testing.T) {
	heavy := []string{"github.com/ClickHouse", "github.com/google/differential-privacy", "github.com/golang/glog",
		"gonum.org", "github.com/ebitengine/purego", "github.com/prometheus", "github.com/peterbourgon", "github.com/goccy/go-yaml"}
	tests := map[string][]string{
		"./client":             append(heavy, "google.golang.org/grpc/internal/transport", "google.golang.org/protobuf/encoding/protojson"),
		"./proto/telemetry/v1": append(heavy, "google.golang.org/grpc", "net/http"),
		"./schema/rules":       append(heavy, "google.golang.org/grpc", "net/http"),
	}
	for pkg, forbidden := range tests {
		cmd := exec.Command("go", "list", "-deps", pkg)
		cmd.Dir = root
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", pkg, err)
		}
		for dep := range strings.FieldsSeq(string(out)) {
			if slices.ContainsFunc(forbidden, func(f string) bool { return within(dep, f) }) {
				t.Errorf("%s depends on %s", pkg, dep)
			}
		}
	}
}

// topLevel is everything that may lie at the top, besides dot-files.
var topLevel = []string{
	"proto", "schema", "client", "collector", "aggregator", "bench", "docs", "internal",
	"README.md", "LICENSE", "Makefile", "go.mod", "go.sum",
	"bin", "demo", // made by the Makefile, ignored by git
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(topLevel, e.Name()) {
			t.Errorf("%s does not belong at the top level", e.Name())
		}
	}
}

const (
	maxFileLines = 500 // a longer file holds more than one idea
	maxMainLines = 80  // a main only wires
)

func TestSizes(t *testing.T) {
	for _, file := range goFiles(t) {
		lines := bytes.Count(file.source, []byte("\n"))
		switch {
		case file.generated():
		case file.syntax.Name.Name == "main" && filepath.Base(file.path) == "main.go" && lines > maxMainLines && !strings.Contains(file.path, "/internal/gen/"):
			t.Errorf("%s has %d lines, want at most %d: a main only wires", file.path, lines, maxMainLines)
		case lines > maxFileLines:
			t.Errorf("%s has %d lines, want at most %d", file.path, lines, maxFileLines)
		}
	}
}

// Exported names outside of tests are documented.
func TestDocumented(t *testing.T) {
	for _, file := range goFiles(t) {
		if strings.HasSuffix(file.path, "_test.go") || file.generated() {
			continue
		}
		for _, decl := range file.syntax.Decls {
			if name, ok := undocumented(decl); ok {
				t.Errorf("%s: %s is exported and not documented", file.path, name)
			}
		}
	}
}

func undocumented(decl ast.Decl) (string, bool) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || receiverExported(d)) {
			return d.Name.Name, true
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			ts, ok := spec.(*ast.TypeSpec)
			if ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil {
				return ts.Name.Name, true
			}
		}
	}
	return "", false
}

func receiverExported(d *ast.FuncDecl) bool {
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	id, ok := t.(*ast.Ident)
	return ok && id.IsExported()
}

type goFile struct {
	path   string // from the root, with slashes
	source []byte
	syntax *ast.File
}

func (f goFile) imports() []string {
	var paths []string
	for _, spec := range f.syntax.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err == nil {
			paths = append(paths, path)
		}
	}
	return paths
}

func (f goFile) generated() bool { return ast.IsGenerated(f.syntax) }

// goFiles parses every Go file of the project's own.
func goFiles(t *testing.T) []goFile {
	t.Helper()
	var list []goFile
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "node_modules" || name == "testdata" || name == "bin" || name == "demo" || strings.HasPrefix(name, ".") && path != root) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ParseComments)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		list = append(list, goFile{filepath.ToSlash(relative), source, syntax})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
