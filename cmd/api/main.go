// Command api is the whole of Haisu: the HTTP server with its background work, and the commands that administer it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	switch {
	case err == nil:
	case errors.Is(err, errUsage):
		os.Exit(2) // without stop: nothing is left to clean up
	default:
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}
