package site

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slicemetry/slicemetry/aggregator/internal/serve"
)

// looked are the pages that the browser looks at: all that are not of one metric,
// and one metric of every kind.
var looked = []string{"index.html", "machines.html", "materials.html", "settings.html", "slicers.html", "data.html", "missing.html", "dictionary.html", "privacy.html",
	"metric/installations.html", "metric/machine_by_material.html", "metric/print_time.html", "metric/layer_height.html", "metric/wall_count.html",
	"metric/2026/installations.html", "metric/2026/installations_by_machine.html", "metric/2026/print_time.html",
	"mean/mean_print_time_by_machine.html", "mean/mean_outputs.html"}

// A browser shows the pages: nothing is asked from elsewhere and nothing is
// complained of; on a telephone nothing is wider than the window; in the light and
// in the dark all text is legible; and who does not see them hears a name for every
// picture, table, link and region.
func TestPagesInABrowser(t *testing.T) {
	b := startBrowser(t)
	server := httptest.NewServer(serve.Handler(os.DirFS(shown(t, 10))))
	defer server.Close()
	for _, name := range looked {
		b.t = t
		t.Run(name, func(t *testing.T) {
			b.t = t
			for _, view := range []struct {
				width  int
				scheme string
			}{{360, "light"}, {360, "dark"}, {1280, "dark"}, {1280, "light"}} {
				b.open(server.URL+"/"+name, view.width, view.scheme)
				for _, text := range b.trouble(server.URL + "/") {
					t.Errorf("%d %s: %s", view.width, view.scheme, text)
				}
				checkWidth(t, b, view.width)
				checkContrast(t, b, view.scheme)
			}
			checkStructure(t, b)
			checkNames(t, b)
		})
	}
	b.t = t
	checkSkip(t, b, server.URL)
	checkPrint(t, b, server.URL)
}

// checkPrint: on paper there are no links to click, the paper is white also where the
// screen is dark, and the folded tables are open.
func checkPrint(t *testing.T, b *browser, url string) {
	t.Helper()
	b.open(url+"/machines.html", 800, "dark")
	b.call("Emulation.setEmulatedMedia", map[string]any{"media": "print", "features": []map[string]string{{"name": "prefers-color-scheme", "value": "dark"}}}, nil)
	var paper struct {
		Links, Background string
		Table             float64
	}
	b.eval(`({Links: getComputedStyle(document.querySelector('nav ul')).display, Background: getComputedStyle(document.body).backgroundColor, Table: document.querySelector('details table').getBoundingClientRect().height})`, &paper)
	if paper.Links != "none" || paper.Background != "rgb(255, 255, 255)" || paper.Table < 100 {
		t.Errorf("on paper: %+v, want no links, white, the table shown", paper)
	}
	if keep := os.Getenv("SLICEMETRY_SITE"); keep != "" { // to look at it
		var shot struct{ Data []byte }
		b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true, "clip": map[string]any{"x": 0, "y": 0, "width": 800, "height": 2000, "scale": 1}}, &shot)
		if err := os.WriteFile(filepath.Join(keep, "print.png"), shot.Data, 0o600); err != nil {
			t.Error(err)
		}
	}
}

// reporter is what a check says its findings to: a test, or the test of the checks.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// checkWidth: the page is not wider than the window.
func checkWidth(t reporter, b *browser, width int) {
	t.Helper()
	var sizes struct{ Scroll, Inner int }
	b.eval(`({Scroll: document.documentElement.scrollWidth, Inner: innerWidth})`, &sizes)
	if sizes.Inner != width || sizes.Scroll > sizes.Inner {
		t.Errorf("the page is %d wide in a window of %d, want %d", sizes.Scroll, sizes.Inner, width)
	}
}

// contrasts returns the background of the page and, of every element with text of its own,
// the contrast as WCAG 2.2 defines it (relative luminance, section "contrast ratio").
const contrasts = `(() => {
	const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m };
	const luminance = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 }); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
	const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] == 1) return c.slice(0, 3) } return [255, 255, 255] };
	const list = [];
	for (const e of document.querySelectorAll('body, body *')) {
		if (e.matches('title, desc, .hidden') || ![...e.childNodes].some(n => n.nodeType == 3 && n.data.trim())) continue;
		const s = getComputedStyle(e), svg = e instanceof SVGElement;
		const a = luminance(parse(svg ? s.fill : s.color).slice(0, 3)), z = luminance(behind(svg ? e.closest('svg.chart').parentElement : e));
		list.push({Ratio: (Math.max(a, z) + 0.05) / (Math.min(a, z) + 0.05), Text: e.textContent.trim().slice(0, 40)});
	}
	list.sort((a, b) => a.Ratio - b.Ratio);
	return {Paper: luminance(behind(document.body)), Texts: list.length, Worst: list.slice(0, 3)};
})()`

// minContrast is what WCAG 2.2 wants of text of normal size at level AA.
const minContrast = 4.5

func checkContrast(t reporter, b *browser, scheme string) {
	t.Helper()
	var seen struct {
		Paper float64
		Texts int
		Worst []struct {
			Ratio float64
			Text  string
		}
	}
	b.eval(contrasts, &seen)
	if dark := seen.Paper < 0.1; dark != (scheme == "dark") {
		t.Errorf("%s: the luminance of the paper is %.2f", scheme, seen.Paper)
	}
	if seen.Texts < 20 || seen.Worst[0].Ratio < minContrast {
		t.Errorf("%s: of %d texts the least legible are %+v, want a contrast of %g", scheme, seen.Texts, seen.Worst, minContrast)
	}
}

// checkStructure: one title, headings without gaps, tables with captions and
// scopes, identifiers that identify, no script.
func checkStructure(t reporter, b *browser) {
	t.Helper()
	var problems []string
	b.eval(`(() => {
		const all = s => [...document.querySelectorAll(s)], problems = [];
		const want = (ok, text) => { if (!ok) problems.push(text) };
		want(document.documentElement.lang == 'en', 'no language');
		want(document.title.includes('slicemetry'), 'no title');
		want(document.scripts.length == 0, 'a script');
		want(all('[style], style').length == 0, 'an inline style');
		want(all('h1').length == 1, all('h1').length + ' h1');
		let level = 0;
		for (const h of all('h1, h2, h3, h4')) { const n = +h.tagName[1]; want(n <= level + 1, 'the heading ' + h.textContent + ' skips a level'); level = n }
		for (const e of all('table')) want(e.caption && e.caption.textContent.trim(), 'a table without a caption');
		for (const e of all('th')) want(e.scope == 'col' || e.scope == 'row', 'a th without scope: ' + e.textContent);
		for (const e of all('tbody tr')) want(e.querySelectorAll('th[scope=row]').length == 1, 'a row without a heading: ' + e.textContent);
		for (const e of all('svg.chart')) want(e.querySelector(':scope > title').textContent && e.querySelector(':scope > desc').textContent, 'a chart without title and description');
		const ids = all('[id]').map(e => e.id);
		for (const id of ids) want(ids.indexOf(id) == ids.lastIndexOf(id), 'the id ' + id + ' twice');
		for (const e of all('[aria-labelledby]')) for (const id of e.getAttribute('aria-labelledby').split(' ')) want(document.getElementById(id), 'no id ' + id);
		return problems;
	})()`, &problems)
	for _, p := range problems {
		t.Errorf("%s", p)
	}
}

// named are the roles that are of no use without a name.
var named = []string{"image", "img", "graphics-document", "SvgRoot", "link", "table", "region", "navigation", "figure"}

// checkNames: in the tree of assistive technology everything has its name, and the
// page has its landmarks and all of its charts and tables.
func checkNames(t reporter, b *browser) {
	t.Helper()
	count := map[string]int{}
	for _, n := range b.tree() {
		if n.Ignored {
			continue
		}
		count[n.Role.Value]++
		if slices.Contains(named, n.Role.Value) && strings.TrimSpace(n.Name.Value) == "" && n.Role.Value != "figure" {
			t.Errorf("a %s has no name: %+v", n.Role.Value, n)
		}
	}
	for _, landmark := range []string{"main", "navigation", "banner", "contentinfo"} {
		if count[landmark] != 1 {
			t.Errorf("%d landmarks %q, want one", count[landmark], landmark)
		}
	}
	var want struct{ Charts, Tables int }
	b.eval(`({Charts: document.querySelectorAll('svg.chart').length, Tables: [...document.querySelectorAll('table')].filter(e => e.checkVisibility({contentVisibilityAuto: true}) && !e.closest('details:not([open])')).length})`, &want)
	if pictures := count["image"] + count["img"]; pictures != want.Charts || count["table"] != want.Tables {
		t.Errorf("assistive technology sees %d pictures and %d tables of %d and %d: %v", pictures, count["table"], want.Charts, want.Tables, count)
	}
}

// checkSkip: the first thing that the keyboard reaches leads past the links.
func checkSkip(t *testing.T, b *browser, url string) {
	t.Helper()
	b.open(url+"/", 1280, "light")
	for _, kind := range []string{"keyDown", "keyUp"} {
		b.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}, nil)
	}
	var focused struct {
		Text string
		Left float64
	}
	b.eval(`({Text: document.activeElement.textContent, Left: document.activeElement.getBoundingClientRect().left})`, &focused)
	if focused.Text != "Skip to the content" || focused.Left < 0 {
		t.Errorf("the keyboard reaches %+v first, want the visible way to the content", focused)
	}
}

// findings collects what checks report.
type findings struct{ strings.Builder }

func (f *findings) Helper()                           {}
func (f *findings) Errorf(format string, args ...any) { fmt.Fprintf(f, format+"\n", args...) }

const badPage = `<!doctype html><title>x</title><h1>One</h1><h3>Three</h3>
<p style="color: #999; background: #fff; width: 900px">too pale and too wide</p><img src="%s/missing.png"><a href="x"></a>
<table><tr><th>no scope</th></tr></table><svg role="img" class="chart"><title></title><desc></desc></svg><script>console.log("hello")</script>`

// The checks see what they look for: on a page with every fault each is found.
func TestChecksSeeFaults(t *testing.T) {
	b := startBrowser(t)
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	defer elsewhere.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, badPage, strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1))
	}))
	defer server.Close()
	b.open(server.URL+"/", 360, "dark")
	var found findings
	for _, text := range b.trouble(server.URL + "/") {
		found.Errorf("%s", text)
	}
	checkWidth(&found, b, 360)
	checkContrast(&found, b, "dark")
	checkStructure(&found, b)
	checkNames(&found, b)
	for _, want := range []string{
		"asked for http://localhost", "failed: ", "hello", "in a window of", "the luminance of the paper is 1.00", "too pale", "no language", "no title",
		"a script", "an inline style", "Three skips a level", "without a caption", "without scope", "a row without a heading", "a chart without title", "a link has no name", "landmarks \"main\"",
	} {
		if !strings.Contains(found.String(), want) {
			t.Errorf("the checks do not say %q", want)
		}
	}
	if t.Failed() {
		t.Log(found.String())
	}
}
