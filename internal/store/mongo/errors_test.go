package mongo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/haisu-trace/haisu/internal/store"
)

type clearedPoolError struct{}

func (clearedPoolError) Error() string   { return "connection pool was cleared" }
func (clearedPoolError) Retryable() bool { return true }

func TestMapError(t *testing.T) {
	t.Parallel()
	duplicate := driver.WriteError{Code: 11000, Message: "E11000 duplicate key error"}
	timeout := &driver.WriteConcernError{Code: 64, Message: "waiting for replication timed out"}
	other := errors.New("other")
	for name, c := range map[string]struct {
		err  error
		want error // nil: none of the port's
	}{
		"duplicate":               {driver.WriteException{WriteErrors: driver.WriteErrors{duplicate}}, store.ErrExists},
		"duplicate of a command":  {driver.CommandError{Code: 11000}, store.ErrExists},
		"unconfirmed":             {driver.WriteException{WriteConcernError: timeout}, store.ErrUnavailable},
		"duplicate, unconfirmed":  {driver.WriteException{WriteErrors: driver.WriteErrors{duplicate}, WriteConcernError: timeout}, store.ErrUnavailable},
		"bulk, unconfirmed":       {driver.BulkWriteException{WriteConcernError: &driver.WriteConcernError{Code: 79}}, store.ErrUnavailable},
		"bulk, stepped down":      {driver.BulkWriteException{WriteErrors: []driver.BulkWriteError{{WriteError: driver.WriteError{Code: 189}}}}, store.ErrUnavailable},
		"not primary":             {driver.CommandError{Code: 10107, Name: "NotWritablePrimary"}, store.ErrUnavailable},
		"shutdown":                {driver.CommandError{Code: 11600}, store.ErrUnavailable},
		"network":                 {driver.CommandError{Labels: []string{"NetworkError"}, Wrapped: io.EOF}, store.ErrUnavailable},
		"retryable write":         {driver.CommandError{Code: 8, Labels: []string{"RetryableWriteError"}}, store.ErrUnavailable},
		"overload":                {driver.CommandError{Code: 8, Labels: []string{"SystemOverloadedError"}}, store.ErrUnavailable},
		"cleared pool":            {fmt.Errorf("check out: %w", clearedPoolError{}), store.ErrUnavailable},
		"connection":              {topology.ConnectionError{Wrapped: io.ErrUnexpectedEOF}, store.ErrUnavailable},
		"server selection":        {topology.ServerSelectionError{Wrapped: errors.New("no primary")}, store.ErrUnavailable},
		"deadline":                {fmt.Errorf("find: %w", context.DeadlineExceeded), store.ErrUnavailable},
		"max time":                {driver.CommandError{Code: 50, Name: "MaxTimeMSExpired"}, store.ErrUnavailable},
		"disconnected":            {driver.ErrClientDisconnected, store.ErrUnavailable},
		"disk full":               {driver.CommandError{Code: 14031}, store.ErrUnavailable},
		"too large":               {driver.WriteException{WriteErrors: driver.WriteErrors{{Code: 17419}}}, store.ErrTooLarge},
		"object too large":        {driver.CommandError{Code: 10334}, store.ErrTooLarge},
		"cancelled by the caller": {fmt.Errorf("find: %w", context.Canceled), nil},
		"bad value":               {driver.CommandError{Code: 2, Name: "BadValue"}, nil},
		"unauthorized":            {driver.CommandError{Code: 13, Name: "Unauthorized"}, nil},
		"other":                   {other, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := mapError("insert", "things", c.err)
			for _, port := range []error{store.ErrExists, store.ErrUnavailable, store.ErrTooLarge, store.ErrNotFound, store.ErrConflict, store.ErrBadCursor} {
				if want := errors.Is(c.want, port); errors.Is(got, port) != want {
					t.Errorf("%v: is %v: %v", got, port, !want)
				}
			}
			if errors.Unwrap(got) == nil && c.want == nil {
				t.Errorf("%v has lost its cause", got)
			}
		})
	}
	if err := mapError("insert", "things", nil); err != nil {
		t.Errorf("no error became %v", err)
	}
	if got := mapError("insert", "things", other); !errors.Is(got, other) {
		t.Errorf("%v has lost its cause", got)
	}
	if got := mapError("insert", "things", fmt.Errorf("%w", context.DeadlineExceeded)); !errors.Is(got, context.DeadlineExceeded) {
		t.Errorf("%v has lost its deadline", got)
	}
}

func TestUnreachableServer(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50", "haisu")
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Open gives %v", err)
	}
	if _, err := Open(t.Context(), "http://127.0.0.1/", "haisu"); err == nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Open of a URI of another scheme gives %v", err)
	}
}

func TestURICannotWeakenGuarantees(t *testing.T) {
	t.Parallel()
	co := clientOptions("mongodb://h/?w=1&journal=false&readConcernLevel=local&readPreference=secondary&retryWrites=false&timeoutMS=7000")
	if err := co.Validate(); err != nil {
		t.Fatal(err)
	}
	if co.WriteConcern.W != "majority" || co.WriteConcern.Journal == nil || !*co.WriteConcern.Journal {
		t.Errorf("write concern is %+v", co.WriteConcern)
	}
	if co.ReadConcern.Level != "majority" || co.ReadPreference.Mode().String() != "primary" {
		t.Errorf("read concern is %v, read preference %v", co.ReadConcern, co.ReadPreference)
	}
	if !*co.RetryWrites || !*co.RetryReads {
		t.Error("retries are off")
	}
	if co.Timeout.Seconds() != 7 {
		t.Errorf("timeout is %v, want that of the URI", co.Timeout)
	}
	if got := clientOptions("mongodb://h/").Timeout; *got != defaultTimeout {
		t.Errorf("timeout is %v, want the default", got)
	}
}

func TestSnapshotErrors(t *testing.T) {
	t.Parallel()
	for _, code := range []int32{239, 246} {
		err := mapSnapshotError("all", "things", driver.CommandError{Code: code, Labels: []string{"TransientTransactionError"}})
		if !errors.Is(err, store.ErrSnapshotLost) || !strings.Contains(err.Error(), "minSnapshotHistoryWindowInSeconds") {
			t.Errorf("code %d gives %v", code, err)
		}
	}
	if err := mapSnapshotError("all", "things", driver.CommandError{Code: 50}); errors.Is(err, store.ErrSnapshotLost) || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a timeout gives %v", err)
	}
	if err := mapSnapshotError("all", "things", nil); err != nil {
		t.Errorf("no error gives %v", err)
	}
}
