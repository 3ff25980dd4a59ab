// Command otel embeds OpenTelemetry's logs over gRPC.
package main

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
)

func main() {
	exporter, err := otlploggrpc.New(context.Background(), otlploggrpc.WithEndpoint("localhost:1"))
	if err != nil {
		panic(err)
	}
	provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)))
	var r log.Record
	r.SetBody(attribute.StringValue("output"))
	provider.Logger("slicer").Emit(context.Background(), r)
	fmt.Println(provider.Shutdown(context.Background()))
}
