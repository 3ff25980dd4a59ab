// Command slicemetry-agent records for slicers that are not written in Go, and
// shows people what is kept and sent.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/slicemetry/slicemetry/client"
)

// Exit codes. They are part of the protocol with hosts.
const (
	exitOK        = 0
	exitBadInput  = 1 // some input was bad; the rest was taken
	exitUsage     = 2
	exitNoConsent = 3 // the user has not agreed; nothing was written
	exitNotSent   = 4 // nothing is lost: it is sent later
	exitNotKept   = 5 // some of it is lost, and why was said
)

func main() {
	a := &agent{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	command := a.command()
	err := command.Parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(exitOK) // it was asked for
	}
	if err == nil {
		err = command.Run(context.Background())
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "slicemetry-agent:", err)
	}
	os.Exit(exitCode(err))
}

// exitCode is the one place that turns an error into an exit code.
func exitCode(err error) int {
	var retry *client.RetryError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, client.ErrNoConsent):
		return exitNoConsent
	case errors.Is(err, errNotSent), errors.Is(err, client.ErrBusy), errors.As(err, &retry):
		return exitNotSent
	case errors.Is(err, errNotKept):
		return exitNotKept
	case errors.Is(err, errBadInput):
		return exitBadInput
	}
	return exitUsage
}
