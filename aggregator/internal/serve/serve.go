// Package serve answers requests for a written site and its downloads.
//
// It guarantees that it only reads, and only files that a site consists of; that
// it lists no folder and follows no link out of its folder; and that it keeps
// nothing about who asked: there is no access log, and the server's own messages,
// which would name addresses, are dropped.
//
// How: one handler for GET and HEAD over the files of a folder that cannot be
// left (os.Root). A file is answered with its type from a closed list, an entity
// tag from its size and time, and headers by which a browser loads nothing from
// anywhere else. Files are replaced while it runs, each as a whole.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

// The limits of a request. Pages are small; the slowest reader of the largest
// download is on a telephone.
const (
	headerTimeout   = 5 * time.Second
	writeTimeout    = 2 * time.Minute
	idleTimeout     = time.Minute
	headerBytes     = 16 << 10
	shutdownTimeout = 10 * time.Second // for answers under way
)

// Run serves the site in dir on an address until ctx ends, and then finishes the
// answers that are under way. It calls started, if there is one, with the
// address on which it listens.
func Run(ctx context.Context, dir, listen string, started func(net.Addr)) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	defer root.Close()
	if _, err := root.Stat(frontPage); err != nil {
		return fmt.Errorf("serve: no site: %w", err)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	server := &http.Server{
		Handler:           Handler(root.FS()),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout, // no request has a body
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	if started != nil {
		started(listener.Addr())
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done: // it never ends by itself without a reason
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		return errors.Join(fmt.Errorf("serve: stop: %w", err), server.Close())
	}
	return nil
}
