package mongo

import (
	"errors"
	"fmt"
	"slices"

	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/haisu-trace/haisu/internal/store"
)

// unavailableCodes are server errors that say nothing about the request: the server cannot serve it now, was interrupted, or could
// not confirm it.
var unavailableCodes = map[int]bool{
	6:     true, // HostUnreachable
	7:     true, // HostNotFound
	24:    true, // LockTimeout
	43:    true, // CursorNotFound: lost between two replies
	50:    true, // MaxTimeMSExpired
	64:    true, // WriteConcernTimeout
	89:    true, // NetworkTimeout
	91:    true, // ShutdownInProgress
	100:   true, // UnsatisfiableWriteConcern
	112:   true, // WriteConflict
	133:   true, // FailedToSatisfyReadPreference
	134:   true, // ReadConcernMajorityNotAvailableYet
	175:   true, // QueryPlanKilled
	189:   true, // PrimarySteppedDown
	202:   true, // NetworkInterfaceExceededTimeLimit
	216:   true, // ElectionInProgress
	237:   true, // CursorKilled
	262:   true, // ExceededTimeLimit
	272:   true, // MigrationConflict
	365:   true, // TemporarilyUnavailable
	371:   true, // UserWritesBlocked
	402:   true, // ResourceExhausted
	433:   true, // AdmissionQueueOverflow
	449:   true, // RateLimitExceeded
	462:   true, // IngressRequestRateLimitExceeded
	9001:  true, // SocketException
	10058: true, // LegacyNotPrimary
	10107: true, // NotWritablePrimary
	11600: true, // InterruptedAtShutdown
	11601: true, // Interrupted
	11602: true, // InterruptedDueToReplStateChange
	13435: true, // NotPrimaryNoSecondaryOk
	13436: true, // NotPrimaryOrSecondary
	14031: true, // OutOfDiskSpace
}

// unavailableLabels mark errors of the driver and the server that a later try may not meet.
var unavailableLabels = []string{
	"NetworkError", "RetryableError", "RetryableWriteError", "SystemOverloadedError", "TransientTransactionError",
}

// tooLargeCodes: BSONObjectTooLarge, and a document that grows over 16 MB in an update.
var tooLargeCodes = map[int]bool{10334: true, 17419: true, 17420: true}

// mapError gives an error of the driver as the port's; op, the collection and the cause stay with it.
func mapError(op, coll string, err error) error {
	var kind error
	switch {
	case err == nil:
		return nil
	case isUnavailable(err):
		kind = store.ErrUnavailable
	case isTooLarge(err):
		kind = store.ErrTooLarge
	case driver.IsDuplicateKeyError(err):
		kind = store.ErrExists
	default:
		return fmt.Errorf("mongo: %s %s: %w", op, coll, err)
	}
	return fmt.Errorf("mongo: %s %s: %w: %w", op, coll, kind, err)
}

// isUnavailable comes before everything else in mapError: an error that also reports a failed confirmation leaves the whole call in
// doubt.
func isUnavailable(err error) bool {
	if driver.IsTimeout(err) || errors.Is(err, driver.ErrClientDisconnected) || unconfirmed(err) {
		return true
	}
	if _, ok := errors.AsType[topology.ServerSelectionError](err); ok {
		return true
	}
	if _, ok := errors.AsType[topology.ConnectionError](err); ok {
		return true
	}
	if pool, ok := errors.AsType[interface {
		error
		Retryable() bool
	}](err); ok && pool.Retryable() {
		return true
	}
	if labelled, ok := errors.AsType[driver.LabeledError](err); ok && slices.ContainsFunc(unavailableLabels, labelled.HasErrorLabel) {
		return true
	}
	return hasCode(err, unavailableCodes)
}

// unconfirmed says whether the write concern was not met: the write may have happened and may still be rolled back.
func unconfirmed(err error) bool {
	if e, ok := errors.AsType[driver.WriteException](err); ok && e.WriteConcernError != nil {
		return true
	}
	e, ok := errors.AsType[driver.BulkWriteException](err)
	return ok && e.WriteConcernError != nil
}

func isTooLarge(err error) bool { return hasCode(err, tooLargeCodes) }

func hasCode(err error, codes map[int]bool) bool {
	server, ok := errors.AsType[driver.ServerError](err)
	return ok && slices.ContainsFunc(server.ErrorCodes(), func(c int) bool { return codes[c] })
}
