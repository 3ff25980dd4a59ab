// Command rules adds the catalogue and the rules to the messages.
package main

import (
	"fmt"

	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/rules"
)

func main() {
	s := &telemetryv1.Slice{Machine: "ultimaker_s5"}
	rules.Coarsen(s, s, 0, nil)
	fmt.Println(s.Machine)
}
