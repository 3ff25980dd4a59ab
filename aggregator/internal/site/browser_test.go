package site

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// requireBrowser makes a missing browser a failure: CI installs one.
const requireBrowser = "SLICEMETRY_REQUIRE_BROWSER"

// browserTimeout is for all pages together, on a slow machine.
const browserTimeout = 5 * time.Minute

// browser is a headless Chromium with one page. It speaks the DevTools protocol
// over a pipe: messages of JSON, each ended by a zero octet. One goroutine uses it.
type browser struct {
	t       *testing.T
	in      io.Writer
	out     *bufio.Reader
	session string
	next    int
	events  []message // since the last navigation
}

// message is a call, its answer, or an event.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// startBrowser starts the browser, or skips the test where there is none.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv(requireBrowser) != "" {
			t.Fatalf("%s is set: %v", requireBrowser, err)
		}
		t.Skipf("no page was looked at: there is no chromium on PATH (install the package chromium; %s=1 makes this a failure)", requireBrowser)
	}
	ctx, cancel := context.WithTimeout(context.Background(), browserTimeout)
	args := []string{"--headless", "--remote-debugging-pipe", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--user-data-dir=" + t.TempDir(), "about:blank"}
	if os.Geteuid() == 0 {
		args = append([]string{"--no-sandbox"}, args...) // it refuses to run otherwise; it sees our own pages only
	}
	cmd := exec.CommandContext(ctx, path, args...)
	toBrowser, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, fromBrowser, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{toBrowser, fromBrowser} // 3 and 4
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toBrowser.Close()
	fromBrowser.Close()
	b := &browser{t: t, in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		b.session = ""
		_ = b.try("Browser.close", nil, nil) // it may be gone before it answers
		in.Close()
		_ = cmd.Wait()
		cancel()
		out.Close()
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "Accessibility"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

// call does something and decodes the answer.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	if err := b.try(method, params, result); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
}

func (b *browser) try(method string, params, result any) error {
	if params == nil {
		params = struct{}{}
	}
	encoded, err := json.Marshal(params)
	if err != nil {
		return err
	}
	b.next++
	id := b.next
	text, err := json.Marshal(message{ID: id, Session: b.session, Method: method, Params: encoded})
	if err != nil {
		return err
	}
	if _, err := b.in.Write(append(text, 0)); err != nil {
		return err
	}
	for {
		m, err := b.read()
		switch {
		case err != nil:
			return err
		case m.ID != id:
			continue
		case m.Error != nil:
			return fmt.Errorf("the browser says %s", m.Error.Message)
		case result == nil:
			return nil
		}
		return json.Unmarshal(m.Result, result)
	}
}

// read reads one message and keeps it if it is an event.
func (b *browser) read() (message, error) {
	var m message
	text, err := b.out.ReadBytes(0)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
		return m, err
	}
	if m.ID == 0 {
		b.events = append(b.events, m)
	}
	return m, nil
}

// open loads a page, as wide as asked and in a scheme, and forgets the events of
// the one before.
func (b *browser) open(url string, width int, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	b.events = nil
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	for _, e := range b.events {
		if e.Method == "Page.loadEventFired" {
			return
		}
	}
	for {
		m, err := b.read()
		if err != nil {
			b.t.Fatalf("load %s: %v", url, err)
		}
		if m.Method == "Page.loadEventFired" {
			return
		}
	}
}

// eval asks the page something.
func (b *browser) eval(expression string, result any) {
	b.t.Helper()
	var answer struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		ExceptionDetails json.RawMessage `json:"exceptionDetails"`
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &answer)
	if answer.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, answer.ExceptionDetails)
	}
	if err := json.Unmarshal(answer.Result.Value, result); err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
}

// node is one of the tree that assistive technology sees.
type node struct {
	Ignored bool `json:"ignored"`
	Role    struct {
		Value string `json:"value"`
	} `json:"role"`
	Name struct {
		Value string `json:"value"`
	} `json:"name"`
	Description struct {
		Value string `json:"value"`
	} `json:"description"`
}

// tree returns what assistive technology sees.
func (b *browser) tree() []node {
	b.t.Helper()
	var answer struct{ Nodes []node }
	b.call("Accessibility.getFullAXTree", nil, &answer)
	return answer.Nodes
}

// trouble returns what the page complained of and what it asked from elsewhere.
func (b *browser) trouble(base string) []string {
	b.t.Helper()
	var list []string
	requests := 0
	for _, e := range b.events {
		switch e.Method {
		case "Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown":
			list = append(list, string(e.Params))
		case "Network.requestWillBeSent":
			requests++
			var p struct {
				Request struct {
					URL string `json:"url"`
				} `json:"request"`
			}
			if err := json.Unmarshal(e.Params, &p); err != nil || len(p.Request.URL) < len(base) || p.Request.URL[:len(base)] != base {
				list = append(list, "asked for "+p.Request.URL)
			}
		case "Network.responseReceived":
			var p struct {
				Response struct {
					URL    string `json:"url"`
					Status int    `json:"status"`
				} `json:"response"`
			}
			if err := json.Unmarshal(e.Params, &p); err != nil || p.Response.Status >= 400 {
				list = append(list, fmt.Sprintf("%d for %s", p.Response.Status, p.Response.URL))
			}
		case "Network.loadingFailed":
			list = append(list, "failed: "+string(e.Params))
		}
	}
	if requests == 0 {
		list = append(list, "no request was seen: the test sees nothing")
	}
	return list
}
