// Command sentry embeds Sentry's library.
package main

import (
	"fmt"
	"time"

	"github.com/getsentry/sentry-go"
)

func main() {
	fmt.Println(sentry.Init(sentry.ClientOptions{Dsn: "https://key@localhost/1"}))
	sentry.CaptureMessage("output")
	fmt.Println(sentry.Flush(time.Second))
}
