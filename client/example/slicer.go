package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/client"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// run is the slicer: it asks, slices, and reports.
func run(cfg client.Config, model string, now bool, in io.Reader, out io.Writer) error {
	telemetry, err := client.Open(cfg)
	if err != nil {
		// A slicer goes on: every method of a nil client does nothing, and one that
		// cannot connect still lets its user withdraw.
		fmt.Fprintln(out, "no statistics:", err)
	}
	defer telemetry.Close()
	if err == nil && telemetry.Consent().State == client.Unknown {
		ask(telemetry, bufio.NewScanner(in), out)
	}

	telemetry.Count(&telemetryv1.UsageCounters{SlicesStarted: 1})
	begun := time.Now()
	gcode := strings.TrimSuffix(model, ".stl") + ".gcode"
	if err := os.WriteFile(gcode, []byte("; nothing but an example\n"), 0o644); err != nil {
		telemetry.Count(&telemetryv1.UsageCounters{SlicesFailed: 1})
		return err
	}
	fmt.Fprintln(out, "wrote", gcode)

	// After the file is written, so that nothing here can delay it.
	telemetry.Count(&telemetryv1.UsageCounters{SlicesFinished: 1})
	telemetry.Record(&telemetryv1.Slice{
		Application: "cura", VersionMajor: 5, VersionMinor: 8,
		Machine: "ultimaker_s5", LayerHeightUm: 200, InfillDensityPercent: proto.Uint32(20),
		Extruders:     []*telemetryv1.Extruder{{MaterialType: "PLA", MaterialBrand: "Generic", UsedMg: 12_400, NozzleUm: 400}},
		SlicingTimeMs: uint32(time.Since(begun).Milliseconds()),
		Output:        telemetryv1.OutputKind_OUTPUT_KIND_FILE,
	})
	if now && telemetry.Consent().State == client.Granted {
		return send(telemetry, out)
	}
	// This one does not live long enough to send by itself. What cannot be sent now
	// is sent another day, and nobody need hear of it.
	ctx, cancel := context.WithTimeout(context.Background(), atExit)
	defer cancel()
	_ = telemetry.UploadIfDue(ctx)
	return nil
}

// atExit is how long a user may wait for the end, on one of many days.
const atExit = time.Second

// ask puts the question, with two equal answers and none chosen. The end of the
// input is no: a question that is closed is not a yes.
func ask(telemetry *client.Client, in *bufio.Scanner, out io.Writer) {
	for {
		fmt.Fprint(out, "May this program report, coarsely and without identifiers, what you slice?\n  [y] yes, send it   [n] no, send nothing   [s] show what can be sent\n")
		answer := "n"
		if in.Scan() {
			answer = strings.ToLower(strings.TrimSpace(in.Text()))
		}
		var err error
		switch answer {
		case "y":
			err = telemetry.Grant(1)
		case "n":
			err = telemetry.Refuse()
		case "s":
			for _, f := range rules.Fields() {
				fmt.Fprintf(out, "  %-28s %s; kept %s\n", f.Path, f.Coarsening(), f.Retention())
			}
			continue
		default:
			continue
		}
		if err != nil {
			fmt.Fprintln(out, "not noted:", err)
		}
		return
	}
}

// send shows what is waiting and sends it.
func send(telemetry *client.Client, out io.Writer) error {
	requests, err := telemetry.Preview()
	if err != nil {
		return err
	}
	for _, r := range requests {
		fmt.Fprintln(out, protojson.Format(r.Message))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := telemetry.Flush(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "sent %d outputs\n", telemetry.Status().Sent)
	return nil
}
