// Command posthog embeds PostHog's library.
package main

import (
	"fmt"

	"github.com/posthog/posthog-go"
)

func main() {
	c, err := posthog.NewWithConfig("key", posthog.Config{Endpoint: "https://localhost:1"})
	if err != nil {
		panic(err)
	}
	fmt.Println(c.Enqueue(posthog.Capture{DistinctId: "unit", Event: "output"}), c.Close())
}
