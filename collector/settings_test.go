package collector_test

import (
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// The server's first frame tells every peer the limits that HTTP/2 knows.
func TestSettingsOnTheWire(t *testing.T) {
	conn, err := net.Dial("tcp", start(t, nil).Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	frame, err := framer.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	settings, ok := frame.(*http2.SettingsFrame)
	if !ok {
		t.Fatalf("the first frame is a %T", frame)
	}
	for id, want := range map[http2.SettingID]uint32{
		http2.SettingMaxConcurrentStreams: 16,
		http2.SettingMaxHeaderListSize:    8 << 10,
	} {
		if got, set := settings.Value(id); !set || got != want {
			t.Errorf("%s is %d (set: %t), want %d", id, got, set, want)
		}
	}
	// 65,535 is what HTTP/2 begins with, so that 64 KiB need not be told as more.
	if got, set := settings.Value(http2.SettingInitialWindowSize); set && got > 64<<10 {
		t.Errorf("a stream's window is %d, want at most 64 KiB", got)
	}
}
