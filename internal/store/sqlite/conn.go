package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/haisu-trace/haisu/internal/store"
)

// conn is one connection with its prepared statements. It uses the driver directly: database/sql would add a lock, a
// goroutine per cancellable context and reflection to statements that take a few microseconds. It is not safe for
// concurrent use.
type conn struct {
	raw   driver.Conn
	stmts map[string]*stmt
}

type stmt struct {
	driver.Stmt
	exec  driver.StmtExecContext
	query driver.StmtQueryContext
}

func dial(dsn string) (*conn, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	raw, err := connector.Connect(context.Background())
	if err != nil {
		return nil, mapErr(err)
	}
	return &conn{raw: raw, stmts: map[string]*stmt{}}, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

// prepare gives the statement for a text that is used again and again; texts come from a small fixed set per collection.
func (c *conn) prepare(text string) (*stmt, error) {
	if s := c.stmts[text]; s != nil {
		return s, nil
	}
	raw, err := c.raw.Prepare(text)
	if err != nil {
		return nil, mapErr(err)
	}
	exec, okExec := raw.(driver.StmtExecContext)
	query, okQuery := raw.(driver.StmtQueryContext)
	if !okExec || !okQuery {
		return nil, errors.Join(fmt.Errorf("sqlite: the driver's statement is a %T", raw), raw.Close())
	}
	s := &stmt{Stmt: raw, exec: exec, query: query}
	c.stmts[text] = s
	return s, nil
}

// named numbers the values of a statement, which are nil, int64, string or []byte.
func named(values ...driver.Value) []driver.NamedValue {
	out := make([]driver.NamedValue, len(values))
	for i, v := range values {
		out[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return out
}

// do runs a statement and gives how many rows it changed.
func (c *conn) do(text string, values ...driver.Value) (int64, error) { //nolint:unparam // the number belongs to exec, which it wraps
	r, err := c.exec(text, named(values...))
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (c *conn) exec(text string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.prepare(text)
	if err != nil {
		return nil, err
	}
	r, err := s.exec.ExecContext(context.Background(), args)
	if err != nil {
		return nil, mapErr(err)
	}
	return r, nil
}

// each calls f with every row. The values of a row are f's only until it returns; byte slices in it may be kept.
func (c *conn) each(text string, args []driver.NamedValue, f func(row []driver.Value) error) (err error) {
	s, err := c.prepare(text)
	if err != nil {
		return err
	}
	rows, err := s.query.QueryContext(context.Background(), args)
	if err != nil {
		return mapErr(err)
	}
	defer func() {
		if cerr := rows.Close(); cerr != nil && err == nil {
			err = mapErr(cerr)
		}
	}()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		if err := rows.Next(row); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return mapErr(err)
		}
		if err := f(row); err != nil {
			return err
		}
	}
}

// one gives the first row, nil if there is none.
func (c *conn) one(text string, values ...driver.Value) (row []driver.Value, err error) {
	err = c.each(text, named(values...), func(r []driver.Value) error {
		if row == nil {
			row = append(row, r...)
		}
		return nil
	})
	return row, err
}

// mapErr makes a store.ErrUnavailable of what the surroundings cause (lock, disk, file, memory). Anything else is a
// mistake in this package and stays as it is.
func mapErr(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT,
		sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL,
		sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return err
}

// busy tells whether another process held the lock.
func busy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
}
