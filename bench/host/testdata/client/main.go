// Command client embeds the library as a slicer does.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/slicemetry/slicemetry/client"
	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

func main() {
	c, err := client.Open(client.Config{Endpoint: "localhost:1"})
	if err != nil {
		panic(err)
	}
	c.Record(&telemetryv1.Slice{Machine: "ultimaker_s5"})
	receipts, erased := c.Erase(context.Background())
	fmt.Println(c.Grant(1), c.Flush(context.Background()), c.Status(), receipts, erased, c.Export(os.Stdout, client.CSV))
	fmt.Println(c.Refuse(), c.Close())
}
