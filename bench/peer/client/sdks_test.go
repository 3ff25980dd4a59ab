package client

import (
	"context"
	"io"
	stdlog "log"
	"net/http"
	"path/filepath"
	"time"

	"github.com/getsentry/sentry-go"
	"github.com/posthog/posthog-go"
	"github.com/segmentio/analytics-go/v3"
	"github.com/snowplow/snowplow-golang-tracker/v3/pkg/storage/sqlite3"
	snowplow "github.com/snowplow/snowplow-golang-tracker/v3/tracker"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"

	"github.com/slicemetry/slicemetry/client"
)

// sdk is one library as a host uses it: record hands over event i, send asks it to
// send what an earlier process left, end ends it as its documentation says.
type sdk struct {
	record func(i int)
	send   func()
	end    func()
}

// library is a name and how it is started; what it keeps, it keeps in dir.
type library struct {
	name string
	open func(endpoint, dir string) sdk
}

// sdks are the compared libraries, each with its defaults.
var sdks = []library{
	{"slicemetry", openSlicemetry},
	{"OpenTelemetry logs", openOTel},
	{"PostHog", openPostHog},
	{"Segment", openSegment},
	{"Sentry", openSentry},
	{"Snowplow, SQLite", openSnowplow},
}

func openSlicemetry(endpoint, dir string) sdk {
	c, err := client.Open(client.Config{
		Dir: dir, Endpoint: endpoint, Plaintext: true, Proxy: client.NoProxy,
		Getenv: func(string) string { return "" }, SystemFile: filepath.Join(dir, "none"),
	})
	if err != nil {
		panic(err)
	}
	if err := c.Grant(1); err != nil {
		panic(err)
	}
	return sdk{
		record: func(i int) { c.Record(output(i)) },
		send:   func() { c.Flush(context.Background()) },
		end:    func() { c.Close() },
	}
}

func openOTel(endpoint, _ string) sdk {
	exporter, err := otlploggrpc.New(context.Background(), otlploggrpc.WithEndpoint(endpoint), otlploggrpc.WithInsecure())
	if err != nil {
		panic(err)
	}
	provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)))
	logger := provider.Logger("slicer")
	return sdk{
		record: func(i int) {
			var r log.Record
			r.SetTimestamp(time.Now())
			r.SetBody(attribute.StringValue(marker(i)))
			fields := fields()
			attributes := make([]attribute.KeyValue, 0, len(fields))
			for k, v := range fields {
				switch v := v.(type) {
				case string:
					attributes = append(attributes, attribute.String(k, v))
				case int:
					attributes = append(attributes, attribute.Int(k, v))
				case bool:
					attributes = append(attributes, attribute.Bool(k, v))
				}
			}
			r.AddAttributes(attributes...)
			logger.Emit(context.Background(), r)
		},
		send: func() { provider.ForceFlush(context.Background()) },
		end:  func() { provider.Shutdown(context.Background()) },
	}
}

func openPostHog(endpoint, _ string) sdk {
	c, err := posthog.NewWithConfig("key", posthog.Config{Endpoint: "http://" + endpoint, Logger: posthog.StdLogger(stdlog.New(io.Discard, "", 0), false)})
	if err != nil {
		panic(err)
	}
	return sdk{
		record: func(i int) {
			c.Enqueue(posthog.Capture{DistinctId: "unit", Event: marker(i), Properties: fields()})
		},
		send: func() {}, // by itself, every 5 s
		end:  func() { c.Close() },
	}
}

func openSegment(endpoint, _ string) sdk {
	c, err := analytics.NewWithConfig("key", analytics.Config{Endpoint: "http://" + endpoint, Logger: analytics.StdLogger(stdlog.New(io.Discard, "", 0))})
	if err != nil {
		panic(err)
	}
	return sdk{
		record: func(i int) {
			c.Enqueue(analytics.Track{AnonymousId: "unit", Event: marker(i), Properties: fields()})
		},
		send: func() {}, // by itself, every 5 s
		end:  func() { c.Close() },
	}
}

func openSentry(endpoint, _ string) sdk {
	c, err := sentry.NewClient(sentry.ClientOptions{Dsn: "http://key@" + endpoint + "/1", HTTPTransport: &http.Transport{}})
	if err != nil {
		panic(err)
	}
	return sdk{
		record: func(i int) {
			event := sentry.NewEvent()
			event.Message = marker(i)
			event.Contexts["output"] = fields()
			c.CaptureEvent(event, nil, nil)
		},
		send: func() { c.Flush(30 * time.Second) },
		end:  func() { c.Flush(30 * time.Second) },
	}
}

func openSnowplow(endpoint, dir string) sdk {
	stdlog.SetOutput(io.Discard)
	tracker := snowplow.InitTracker(
		snowplow.RequireEmitter(snowplow.InitEmitter(
			snowplow.RequireCollectorUri(endpoint),
			snowplow.RequireStorage(*sqlite3.Init(filepath.Join(dir, "events.db"))),
		)),
		snowplow.OptionBase64Encode(false),
	)
	return sdk{
		record: func(i int) {
			id := marker(i)
			tracker.TrackSelfDescribingEvent(snowplow.SelfDescribingEvent{
				EventId: &id, Event: snowplow.InitSelfDescribingJson("iglu:slicer/output/jsonschema/1-0-0", fields()),
			})
		},
		send: func() { tracker.FlushEmitter() },
		end:  func() { tracker.BlockingFlush(1, 10) },
	}
}
