// Package throttle bounds how many answers to control frames gRPC queues for one
// peer. Importing it is all there is to do.
//
// A peer that sends PING or SETTINGS frames, or has streams reset, and does not
// read makes gRPC queue an answer to each, 10,000 of them before it stops reading.
// gRPC 1.85 takes another number from the environment only, once, when its packages
// are initialised. Packages are initialised in the order of their paths where
// imports leave a choice (The Go Programming Language Specification, "Program
// initialization"), and this one imports less than gRPC's and its path comes first.
// A test counts what is queued.
package throttle

import "os"

// limit is more than honest clients ever have waiting: a call leaves two or three
// answers, and a connection has 16 calls.
const limit = "100"

const variable = "GRPC_GO_EXPERIMENTAL_CONTROL_BUFFER_THROTTLE_LIMIT"

func init() {
	if os.Getenv(variable) == "" { // who sets it knows better
		_ = os.Setenv(variable, limit) // fails for names and values that ours are not
	}
}
