package collector_test

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// B24, A03, A21: whatever a client writes into the places that are for text (metadata,
// user agent, path, authority, encodings), the log says what it said before, and
// neither the metrics nor a status of a call that was taken repeats it.
func TestLogInjection(t *testing.T) {
	const marker = "mark3r-b24-90ab"
	r := start(t, nil)
	if _, err := r.client(t).Upload(t.Context(), request(1)); err != nil { // what a first upload logs is logged
		t.Fatal(err)
	}
	log, series := r.log.String(), seriesOf(r.get(t, "/metrics"))
	texts := []string{
		marker,
		marker + "\n" + `{"time":"2026-01-01T00:00:00Z","level":"ERROR","msg":"` + marker + `"}`,
		marker + "\r\n\r\nGET / HTTP/1.1",
		"\x1b]0;" + marker + "\x07\x1b[31m" + marker + "\x1b[0m",
		marker + "\x00\x00" + marker,
		marker + "\xff\xfe\x80",
		"%s%n%d%v" + marker + "${jndi:ldap://" + marker + "}",
		strings.Repeat(marker, 400), // 6,000 octets: just within what headers may hold
		strings.Repeat(marker, 4000),
	}
	good, malformed := framed(t, request(1)), message(0, len(marker), []byte(marker))
	for _, text := range texts {
		lower := strings.ToLower(text)
		for _, headers := range [][]string{
			{"user-agent", text}, {"x-forwarded-for", text}, {"traceparent", text}, {"grpc-timeout", text}, {"grpc-encoding", text},
			{"grpc-accept-encoding", text}, {"grpc-trace-bin", text}, {"x-some-bin", text}, {"grpc-tags-bin", text}, {"cookie", text},
			{":authority", text}, {":scheme", text}, {":method", text}, {":path", text}, {":path", uploadPath + text}, {":path", "/" + text + "/Upload"},
			{"content-type", text}, {"content-type", "application/grpc+" + text}, {"te", text}, {"connection", text}, {"host", text},
			{lower, "x"}, {"x-" + lower, "x"}, {"x-" + lower + "-bin", "eA"}, {":" + lower, "x"},
		} {
			for _, body := range [][]byte{good, malformed} {
				c := dialRaw(t, r.Addr())
				_ = c.open(1, uploadPath, headers...)
				_ = c.WriteData(1, true, body)
				_ = c.answer(1) // whatever: it is not to be repeated elsewhere
				_ = c.WriteGoAway(0, http2.ErrCodeNo, []byte(text[:min(len(text), 1000)]))
				c.Close()
			}
		}
	}
	if got := r.log.String(); got != log {
		t.Errorf("the log has changed:\n%s", strings.TrimPrefix(got, log))
	}
	metrics := r.get(t, "/metrics")
	if strings.Contains(strings.ToLower(metrics), marker) || strings.Contains(r.dump(t), marker) {
		t.Error("the marker is in a metric or a row")
	}
	if now := seriesOf(metrics); !slices.Equal(now, series) {
		t.Errorf("there are %d series, there were %d", len(now), len(series))
	}
	r.balanced(t)
}

// seriesOf are the names and labels of the collector's own series.
func seriesOf(metrics string) (names []string) {
	for line := range strings.Lines(metrics) {
		if name, _, found := strings.Cut(line, " "); found && strings.HasPrefix(name, "slicemetry_") {
			names = append(names, name)
		}
	}
	return names
}
