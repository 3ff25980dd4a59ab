package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/slicemetry/slicemetry/client"
)

// decision is a decision as a host wants to know it.
type decision struct {
	client.Consent
	// Ask says that there is something to ask: nobody decided, or not about the
	// policy that the host shows. A host that is older than the policy in force is
	// not to ask: a yes to what it shows would change nothing.
	Ask bool `json:"ask"`
}

// consent notes or shows the user's decision. Flags may follow the word too: that
// is where people write those that belong to it.
func (a *agent) consent(flags *flag.FlagSet, args []string) error {
	if len(args) == 0 || !slices.Contains([]string{"grant", "refuse", "withdraw", "status"}, args[0]) {
		return fmt.Errorf("%w: consent takes grant, refuse, withdraw or status", errUsage)
	}
	switch err := flags.Parse(args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return nil // it was printed
	case err != nil:
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%w: what is %q for?", errUsage, flags.Arg(0))
	}
	return a.with(func(c *client.Client) error { return a.decide(c, args[0]) })
}

func (a *agent) decide(c *client.Client, what string) error {
	var err error
	switch what {
	case "grant":
		var kinds []string
		if a.kinds != "" {
			kinds = strings.Split(a.kinds, ",")
		}
		err = c.Grant(uint32(a.policy), kinds...)
	case "refuse", "withdraw":
		err = c.Refuse()
	}
	if err != nil {
		return err
	}
	now := c.Consent()
	if err := a.printDecision(now); err != nil {
		return err
	}
	if what == "grant" && now.State != client.Granted {
		return fmt.Errorf("the yes is noted, and nothing is recorded all the same: %w (%s)", client.ErrNoConsent, now.Rule)
	}
	return nil
}

func (a *agent) printDecision(c client.Consent) error {
	if a.json {
		return a.printJSON(decision{c, c.State == client.Unknown && uint(c.PolicyVersion) < a.policy})
	}
	_, err := fmt.Fprintf(a.out, "%s (%s)\n", c.State, c.Rule)
	return err
}
