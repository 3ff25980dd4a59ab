package client

import "errors"

// errDefect is what a caller gets in place of a panic.
var errDefect = errors.New("client: a defect of this library, or of the Logger, Now or Getenv that it was given")

// survive keeps a panic from ending the host.
func (c *Client) survive() {
	if recover() != nil {
		c.drops.add(dropPanic, 1)
	}
}

// rescue is survive for what returns an error.
func (c *Client) rescue(err *error) {
	if recover() != nil {
		c.drops.add(dropPanic, 1)
		*err = errDefect
	}
}
