package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/haisu-trace/haisu/internal/store"
)

// This test binary is also the other process of tests that need one: with childEnv set it runs one of the children and no test. Its
// arguments are in the environment, because flags belong to the testing package.
const (
	childEnv = "HAISU_SQLITE_CHILD"
	pathEnv  = "HAISU_SQLITE_PATH"
	argEnv   = "HAISU_SQLITE_ARG"
)

var children = map[string]func(ctx context.Context, path, arg string) error{
	"insert":   insertChild,
	"unsynced": unsyncedChild,
	"contend":  contendChild,
}

func TestMain(m *testing.M) {
	name := os.Getenv(childEnv)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := children[name](context.Background(), os.Getenv(pathEnv), os.Getenv(argEnv)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child prepares this binary as another process, with a command in front of it if wanted.
func child(t *testing.T, name, path, arg string, front ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	line := append(front, self)
	cmd := exec.CommandContext(t.Context(), line[0], line[1:]...)
	cmd.Env = append(os.Environ(), childEnv+"="+name, pathEnv+"="+path, argEnv+"="+arg)
	cmd.Stderr = os.Stderr
	return cmd
}

var childSpec = store.Spec{Name: "docs", Indexes: map[string]string{"a": "1"}}

// ackWidth makes acknowledgements long, so that a pipe that nobody reads soon stops the child.
const ackWidth = 128

// insertChild inserts arg documents from 16 goroutines. After each acknowledged insert it writes the ID as one line to standard output.
func insertChild(ctx context.Context, path, arg string) error {
	return insertAndReport(ctx, path, arg)
}

// unsyncedChild is insertChild without fsync, so that the checker of traces has something to find.
func unsyncedChild(ctx context.Context, path, arg string) error {
	return insertAndReport(ctx, path, arg, func(e *Engine) { e.sync = "OFF" })
}

func insertAndReport(ctx context.Context, path, arg string, opts ...Option) error {
	const goroutines = 16
	n, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	e, err := Open(ctx, path, opts...)
	if err != nil {
		return err
	}
	if _, err := e.Declare(ctx, childSpec); err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, goroutines)
	for g := range goroutines {
		wg.Go(func() {
			for i := g; i < n && errs[g] == nil; i += goroutines {
				errs[g] = insertOne(ctx, e, fmt.Sprintf("doc-%06d", i))
			}
		})
	}
	wg.Wait()
	return errors.Join(errors.Join(errs...), e.Close())
}

func insertOne(ctx context.Context, e *Engine, id string) error {
	errs, err := e.Insert(ctx, "docs", []store.Record{{
		ID: id, Rev: 1, Body: []byte(`{}`), Entries: []store.Entry{{Index: "a", Eq: store.K("x"), Order: store.K(id)}},
	}})
	if err != nil {
		return err
	}
	if errs[0] != nil {
		return errs[0]
	}
	_, err = fmt.Fprintf(os.Stdout, "%-*s\n", ackWidth-1, id)
	return err
}

// contendChild says that it is ready, waits for a line and contends; it prints the jobs that it won.
func contendChild(ctx context.Context, path, arg string) error {
	first, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	e, err := Open(ctx, path)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	won, err := contend(ctx, e, first)
	for _, id := range won {
		fmt.Println(id)
	}
	return errors.Join(err, e.Close())
}

// readLines gives the lines that a child printed.
func readLines(r io.Reader) ([]string, error) {
	b, err := io.ReadAll(r)
	return strings.Fields(string(b)), err
}
