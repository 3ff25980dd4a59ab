package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/slicemetry/slicemetry/bench/floor"
	"github.com/slicemetry/slicemetry/bench/stack"
	"github.com/slicemetry/slicemetry/schema/localdb"
)

// The floor runs as a process of its own, so that its CPU can be told from the
// generator's. It is this program, with what it needs in its environment.
const (
	serveCommand   = "serve"
	envListen      = "FLOOR_LISTEN"
	envDatabase    = "FLOOR_DATABASE"
	envPassword    = "FLOOR_PASSWORD"
	envCertificate = "FLOOR_CERTIFICATE" // empty: plaintext
	envKey         = "FLOOR_KEY"
)

// serve serves until ctx ends.
func serve(ctx context.Context) error {
	debug.SetGCPercent(140) // as the collector does
	listener, err := net.Listen("tcp", os.Getenv(envListen))
	if err != nil {
		return err
	}
	server, err := floor.New(ctx, floor.Database{Address: os.Getenv(envDatabase), User: localdb.Administrator, Password: os.Getenv(envPassword)})
	if err != nil {
		return err
	}
	var options []grpc.ServerOption
	if certificate := os.Getenv(envCertificate); certificate != "" {
		tls, err := credentials.NewServerTLSFromFile(certificate, os.Getenv(envKey))
		if err != nil {
			return err
		}
		options = append(options, grpc.Creds(tls))
	}
	g := server.GRPC(options...)
	context.AfterFunc(ctx, g.Stop)
	return g.Serve(listener)
}

// child is the floor as a process.
type child struct {
	cmd    *exec.Cmd
	target string
}

// startFloor starts the floor on a stack's database.
func startFloor(ctx context.Context, s *stack.Stack, plaintext bool) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	target, err := stack.FreeAddress()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, serveCommand)
	cmd.Env = append(os.Environ(), envListen+"="+target, envDatabase+"="+s.DB.Addr(), envPassword+"="+s.DB.Password(localdb.Administrator))
	if !plaintext {
		cmd.Env = append(cmd.Env, envCertificate+"="+s.CAFile(), envKey+"="+s.KeyFile())
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the floor: %w", err)
	}
	return &child{cmd, target}, stack.WaitListening(ctx, target)
}

func (c *child) stop() {
	_ = c.cmd.Process.Signal(os.Interrupt)
	_ = c.cmd.Wait() // it was told to end, so how it does is of no interest
}
