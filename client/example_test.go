package client_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/slicemetry/slicemetry/client"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

// A slicer's life with the library, from start to exit.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	// At the start. A host leaves Dir and Getenv out.
	telemetry, err := client.Open(client.Config{Endpoint: "telemetry.example.org:443", Dir: dir, Getenv: func(string) string { return "" }})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("before:", telemetry.Consent().State)

	// Once, after the user said yes.
	if err := telemetry.Grant(1); err != nil {
		fmt.Println(err)
	}
	// After each output that was written.
	telemetry.Record(&telemetryv1.Slice{Machine: "ultimaker_s5", LayerHeightUm: 200})
	fmt.Println("after:", telemetry.Consent().State)

	// At exit: it sends where its time has come, about once a day.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := telemetry.UploadIfDue(ctx); err != nil {
		fmt.Println(err)
	}

	// Whenever the user changes his mind.
	if err := telemetry.Refuse(); err != nil {
		fmt.Println(err)
	}
	if err := telemetry.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// before: unknown
	// after: granted
}
