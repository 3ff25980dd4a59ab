// Command messages uses the telemetry messages and nothing else.
package main

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
)

func main() {
	b, err := proto.Marshal(&telemetryv1.Slice{Machine: "ultimaker_s5"})
	fmt.Println(len(b), err)
}
