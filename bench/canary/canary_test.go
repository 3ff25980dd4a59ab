// Package canary plants identifiers in every place that a client can reach, lets
// the system run and fail, and then looks for them in everything that it left:
// files, tables, logs, metrics and answers, in several encodings.
package canary

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/bench/binary"
	"github.com/slicemetry/slicemetry/bench/stack"
	"github.com/slicemetry/slicemetry/internal/period"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
	"github.com/slicemetry/slicemetry/proto/collector/v1/collectorgrpc"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/localdb"
)

func TestMain(m *testing.M) {
	localdb.RunEngineIfChild()
	binary.Main(m, "../../collector/cmd/collectord", "../../client/cmd/slicemetry-agent")
}

// source is the address that the hostile client connects from. Its /16 may be
// kept for two days; the rest may be nowhere. It is bound, so this needs Linux,
// where all of 127/8 is this host.
var source = net.IPv4(127, 177, 203, 99)

// marker is something planted, and how it would look where it must not be.
type marker struct {
	name  string
	forms map[string][]byte
}

// textMarker is a text that nothing else holds and that does not compress.
func textMarker(name, text string) marker {
	wide := utf16.Encode([]rune(text))
	little := make([]byte, 0, 2*len(wide))
	for _, u := range wide {
		little = append(little, byte(u), byte(u>>8))
	}
	return marker{name, map[string][]byte{
		"text": []byte(text), "lower case": []byte(strings.ToLower(text)), "UTF-16": little,
		"hex": []byte(hex.EncodeToString([]byte(text))), "base64": []byte(base64.RawStdEncoding.EncodeToString([]byte(text)))[:len(text)],
	}}
}

// octetMarker is a binary identifier.
func octetMarker(name string, octets []byte) marker {
	return marker{name, map[string][]byte{
		"binary": octets, "hex": []byte(hex.EncodeToString(octets)), "HEX": []byte(strings.ToUpper(hex.EncodeToString(octets))),
		"base64": []byte(base64.RawStdEncoding.EncodeToString(octets)),
	}}
}

func secret(kind string) string { return kind + "-" + rand.Text()[:12] }

func TestNothingPersonalSurvives(t *testing.T) {
	dir := t.TempDir()
	s, err := stack.Start(t.Context(), stack.Config{
		Dir: filepath.Join(dir, "stack"), Collector: filepath.Join(binary.Dir, "collectord"), Plaintext: true,
		Flags: []string{"-flush-age", "20ms", "-retry-after", "100ms"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop(context.Background())

	markers := []marker{
		{"address", map[string][]byte{"text": []byte(source.String()), "binary": source.To4(), "reversed": {99, 203, 177, 127}}},
	}
	markers = append(markers, plantByAgent(t, s, dir)...)
	markers = append(markers, plantByHand(t, s)...)

	answers := metrics(t, s) + dump(t, s)
	look(t, markers, "metrics and tables", []byte(answers))
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		look(t, markers, strings.TrimPrefix(path, dir), data)
		look(t, markers, "the name of a file", []byte(path))
		files++
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("only %d files were looked at", files)
	}
}

// The search itself finds each form of what it looks for.
func TestSearchFinds(t *testing.T) {
	for _, m := range []marker{textMarker("text", secret("x")), octetMarker("octets", []byte{1, 2, 250, 77, 9, 8, 7})} {
		for form, octets := range m.forms {
			if got := found([]marker{m}, append([]byte("before "), append(octets, " after"...)...)); len(got) == 0 {
				t.Errorf("%s as %s is not found", m.name, form)
			}
		}
	}
}

func look(t *testing.T, markers []marker, place string, data []byte) {
	t.Helper()
	for _, what := range found(markers, data) {
		t.Errorf("%s is in %s", what, place)
	}
}

func found(markers []marker, data []byte) []string {
	var list []string
	for _, m := range markers {
		for form, octets := range m.forms {
			if bytes.Contains(data, octets) {
				list = append(list, m.name+" as "+form)
			}
		}
	}
	return list
}

// plantByAgent records through slicemetry-agent, with identifiers in the payload,
// the environment and the file's name.
func plantByAgent(t *testing.T, s *stack.Stack, dir string) []marker {
	t.Helper()
	name, path, mail, host, project := secret("Erika"), secret("home"), secret("mail"), secret("laptop"), secret("project")
	payload := fmt.Sprintf(`{"definition_id": %q, "organization_id": %q, "os_type": "Linux", "os_version": %q, "language": %q, "quality_profile": %q, `+
		`"extruders_material_guid": [%q], "extruders_material_type": [%q], "user_modified_setting_keys": [%q, "layer_height"], "layer_height": 0.2, %q: 1, "output_to": %q}`,
		"/"+path+"/printer", mail+"@example.org", host, name, project, rand.Text(), name, project, name, host)
	file := filepath.Join(t.TempDir(), project+".jsonl")
	if err := os.WriteFile(file, []byte(payload+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	event := fmt.Sprintf(`{"machine": %q, "application": %q, "changedSettings": [%q]}`, name, mail, path)
	flags := []string{"-dir", filepath.Join(dir, "agent"), "-endpoint", s.Target(), "-plaintext"}
	for _, args := range [][]string{{"consent", "grant"}, {"import-cura", file}, {"record"}, {"flush"}} {
		cmd := exec.Command(filepath.Join(binary.Dir, "slicemetry-agent"), append(append([]string{args[0]}, flags...), args[1:]...)...)
		cmd.Env = []string{"USER=" + name, "HOSTNAME=" + host, "HOME=" + t.TempDir()}
		cmd.Stdin = strings.NewReader(event)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	return []marker{textMarker("a name", name), textMarker("a path", path), textMarker("a mail address", mail), textMarker("a host's name", host), textMarker("a project", project)}
}

// plantByHand is a client that keeps no rules: metadata, unknown fields, free
// texts, from an address of its own; its batches are stored, refused, and met by
// a dead database.
func plantByHand(t *testing.T, s *stack.Stack) []marker {
	t.Helper()
	agent, header, field, text := secret("agent"), secret("header"), secret("field"), secret("text")
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: source}}
	conn, err := grpc.NewClient("passthrough:///"+s.Target(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUserAgent(agent), grpc.WithAuthority(header),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := collectorgrpc.NewCollectorClient(conn)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", header, "traceparent", header, "baggage", header, "x-real-ip", source.String(), "planted-bin", header)

	token, id := make([]byte, 16), make([]byte, 16)
	rand.Read(token)
	rand.Read(id)
	batch := func() *collectorv1.UploadRequest {
		slice := &telemetryv1.Slice{Machine: text, Application: text, Language: text, Intent: text, Quality: text, ChangedSettings: []string{text},
			Extruders: []*telemetryv1.Extruder{{MaterialType: text, MaterialBrand: text}}}
		slice.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 999, protowire.BytesType), field))
		b := &telemetryv1.Batch{UnitToken: token, BatchId: id, Period: uint32(period.Of(time.Now())), PolicyVersion: 1, Slices: []*telemetryv1.Slice{slice}}
		b.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 998, protowire.BytesType), field))
		return &collectorv1.UploadRequest{Batch: b}
	}
	if _, err := client.Upload(ctx, batch()); err != nil {
		t.Fatal(err)
	}
	refused := batch()
	refused.Batch.Period++
	expectError(t, client, ctx, refused, text, field, header)
	invalid := proto.Clone(refused).(*collectorv1.UploadRequest)
	invalid.Batch.UnitToken = []byte(text)
	expectError(t, client, ctx, invalid, text, field, header)
	if _, err := client.Erase(ctx, &collectorv1.EraseRequest{UnitToken: token, Period: uint32(period.Of(time.Now()))}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Erase(ctx, &collectorv1.EraseRequest{UnitToken: []byte(text)}); err == nil || strings.Contains(err.Error(), text) {
		t.Errorf("the answer to a wish without a token: %v", err)
	}
	if err := s.CrashDB(t.Context(), func() { expectError(t, client, ctx, batch(), text, field, header) }); err != nil {
		t.Fatal(err)
	}
	return []marker{
		textMarker("a user agent", agent), textMarker("a header", header), textMarker("an unknown field", field), textMarker("a free text", text),
		octetMarker("a unit token", token), octetMarker("a batch id", id),
	}
}

// expectError sends what will not be stored and checks the answer's text.
func expectError(t *testing.T, client collectorgrpc.CollectorClient, ctx context.Context, request *collectorv1.UploadRequest, planted ...string) {
	t.Helper()
	_, err := client.Upload(ctx, request)
	if err == nil {
		t.Fatal("a batch was stored that should not be")
	}
	for _, p := range planted {
		if strings.Contains(err.Error(), p) {
			t.Errorf("an answer repeats what was sent: %v", err)
		}
	}
}

func metrics(t *testing.T, s *stack.Stack) string {
	t.Helper()
	return get(t, "http://"+s.Admin()+"/metrics")
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// dump reads every row of every table of ours, and what the system remembers of
// queries, errors and parts.
func dump(t *testing.T, s *stack.Stack) string {
	t.Helper()
	conn, err := s.Connect(localdb.Administrator)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rows, err := conn.Query(t.Context(), `SELECT concat(database, '.', name) FROM system.tables WHERE engine LIKE '%MergeTree%' AND database IN ('raw', 'published', 'ledger', 'admin')
		UNION ALL SELECT concat('system.', name) FROM system.tables WHERE database = 'system' AND (name IN ('errors', 'parts', 'parts_columns', 'processes', 'mutations', 'merges', 'query_cache') OR name LIKE '%\_log')`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var table, text string
		if err := rows.Scan(&table); err != nil {
			t.Fatal(err)
		}
		if err := conn.QueryRow(t.Context(), "SELECT arrayStringConcat(groupArray(formatRowNoNewline('JSONEachRow', *)), '\n') FROM "+table).Scan(&text); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		b.WriteString(text)
	}
	if !strings.Contains(b.String(), `"machine":"custom"`) {
		t.Error("the planted event was not stored, so there was nothing to find")
	}
	return b.String()
}
