// Command segment embeds Segment's library.
package main

import (
	"fmt"

	"github.com/segmentio/analytics-go/v3"
)

func main() {
	c := analytics.New("key")
	fmt.Println(c.Enqueue(analytics.Track{AnonymousId: "unit", Event: "output"}), c.Close())
}
