package collector_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/slicemetry/slicemetry/collector"
)

// B24, A03, A21: whatever a client writes into the places that are for text (metadata,
// user agent, path, authority, encodings), the log says what it said before, and
// neither the metrics nor an answer repeats it.
func TestLogInjection(t *testing.T) {
	t.Run("taken", func(t *testing.T) { injectEverywhere(t, nil) })
	t.Run("limited", func(t *testing.T) { // whose answers have details
		injectEverywhere(t, func(cfg *collector.Config) { cfg.LimitRate, cfg.LimitBurst = 0.001, 1 })
	})
}

func injectEverywhere(t *testing.T, change func(*collector.Config)) {
	const marker = "mark3r-b24-90ab"
	r := start(t, change)
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
	bodies := [][]byte{
		framed(t, request(1)), message(0, len(marker), []byte(marker)), // good, and malformed
		message(1, len(marker), []byte(marker)), message(0, 1<<20, []byte(marker)), // as if compressed, and too large
	}
	for _, text := range texts {
		lower := strings.ToLower(text)
		for _, headers := range [][]string{
			{"user-agent", text}, {"x-forwarded-for", text}, {"traceparent", text}, {"grpc-timeout", text}, {"grpc-encoding", text},
			{"grpc-accept-encoding", text}, {"grpc-trace-bin", text}, {"x-some-bin", text}, {"grpc-tags-bin", text}, {"cookie", text},
			{":authority", text}, {":scheme", text}, {":method", text}, {":path", text}, {":path", uploadPath + text}, {":path", "/" + text + "/Upload"}, {":path", erasePath, "cookie", text}, {"grpc-encoding", "zstd", "cookie", text},
			{"content-type", text}, {"content-type", "application/grpc+" + text}, {"te", text}, {"connection", text}, {"host", text},
			{lower, "x"}, {"x-" + lower, "x"}, {"x-" + lower + "-bin", "eA"}, {":" + lower, "x"},
		} {
			for _, body := range bodies {
				c := dialRaw(t, r.Addr())
				_ = c.open(1, uploadPath, headers...)
				_ = c.WriteData(1, true, body)
				_ = c.answer(1) // whatever it is: its texts are in said
				for _, field := range c.said {
					checkSaid(t, headers, field, marker)
				}
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

// checkSaid checks a field of the answer to a call with such headers.
func checkSaid(t *testing.T, headers []string, field hpack.HeaderField, marker string) {
	t.Helper()
	value := field.Value
	begins := func(begin string) bool { return strings.HasPrefix(value, begin) }
	switch {
	case field.Name == "grpc-message" && quoted(headers[0]) != "" && begins(quoted(headers[0])):
		return
	case field.Name == "content-type" && headers[0] == "content-type":
		return // gRPC answers in the codec that it was asked in
	case field.Name == "grpc-message" && !slices.Contains(says, value) && !slices.ContainsFunc(grpcSays, begins):
		t.Errorf("%.40q: the text %.200q is none of the collector's", headers, value)
	case strings.HasSuffix(field.Name, "-bin"):
		details, err := base64.RawStdEncoding.DecodeString(value)
		if err != nil {
			t.Error(err)
		}
		value = string(details)
	}
	if strings.Contains(strings.ToLower(field.Name+value), marker) {
		t.Errorf("%.40q: the marker is in the answer's %s: %.200q", headers, field.Name, value)
	}
}

// says is what the collector says in an answer to what injectEverywhere sends.
var says = []string{
	"", "the method is not known here", "messages are protobuf here", "the batch is malformed", "too many batches from this network",
}

// grpcSays is how gRPC's own texts begin: it answers a body that cannot be read before our
// code hears of it.
var grpcSays = []string{
	"grpc: received message larger than max (1048576 vs. 262144)",
	"grpc: compressed flag set with identity or empty encoding",
	"grpc: failed to decompress the message: zstdcodec: ",
	"grpc: failed to unmarshal the received message: proto:",
}

// quoted is how gRPC's answer begins in which it quotes a header, to who sent it. No code
// of ours is asked before.
func quoted(header string) string {
	switch {
	case header == ":method":
		return "Received a HEADERS frame with :method "
	case header == "content-type":
		return "invalid gRPC request content-type "
	case header == ":path":
		return "malformed method name: "
	case header == "grpc-timeout":
		return "malformed grpc-timeout: "
	case header == "grpc-encoding":
		return "grpc: Decompressor is not installed for grpc-encoding "
	case strings.HasSuffix(header, "-bin"):
		return "malformed binary metadata "
	}
	return ""
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
