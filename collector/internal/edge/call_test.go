package edge

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"

	"github.com/slicemetry/slicemetry/proto/collector/v1/collectorgrpc"
)

// A body that does not come ends its call, without a deadline of the client's,
// and the connection goes on.
func TestSlowBody(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.InTapHandle(LimitCall(200 * time.Millisecond)))
	collectorgrpc.RegisterCollectorServer(server, collectorgrpc.UnimplementedCollectorServer{})
	l := Listen(inner, Config{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() { server.Stop(); <-served }()

	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	fields := []string{":method", "POST", ":scheme", "http", ":path", collectorgrpc.Collector_Upload_FullMethodName, ":authority", "x", "content-type", "application/grpc", "te", "trailers"}
	for i := 0; i < len(fields); i += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	_ = framer.WriteData(1, false, []byte{0, 0, 0, 0, 9, 1})
	start := time.Now()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("no answer to a slow body: %v", err)
		}
		headers, ok := frame.(*http2.MetaHeadersFrame)
		if !ok {
			continue
		}
		for _, f := range headers.Fields {
			if f.Name == "grpc-status" {
				if f.Value != "4" || time.Since(start) > 2*time.Second {
					t.Errorf("a slow body is answered %s after %s, want 4 after 200 ms", f.Value, time.Since(start))
				}
				return
			}
		}
	}
}
