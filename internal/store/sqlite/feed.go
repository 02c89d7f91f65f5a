package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

const (
	// tombstoneAge is how long the feed remembers that a document was deleted.
	tombstoneAge = 30 * 24 * time.Hour
	// purgeEvery says how often, in places of the feed, a deletion clears old tombstones away, and purgeMost how many at most.
	purgeEvery = 256
	purgeMost  = 4 * purgeEvery
	// maxFollowers bounds the channels of Wake per collection.
	maxFollowers = 64
	// pageBytes ends a page of Changes or All early, so that 1,000 large bodies do not fill the memory.
	pageBytes = 16 << 20
)

// buryRow notes a deletion in the feed.
func (c *collection) buryRow(t *tx, id string) error {
	if !c.feed {
		return nil
	}
	seq, err := t.nextSeq(c.name)
	if err != nil {
		return err
	}
	if _, err := t.c.exec(c.bury, named(seq, id, t.now)); err != nil {
		return err
	}
	if seq%purgeEvery != 0 {
		return nil
	}
	return c.purge(t)
}

// purge forgets tombstones that are older than tombstoneAge, oldest first, and notes up to which place.
func (c *collection) purge(t *tx) error {
	row, err := t.c.one("SELECT max(seq) FROM (SELECT seq, at FROM t_"+c.name+" ORDER BY seq LIMIT ?) WHERE at < ?",
		int64(purgeMost), t.now-tombstoneAge.Milliseconds())
	if err != nil || row[0] == nil {
		return err
	}
	if _, err := t.c.do("DELETE FROM t_"+c.name+" WHERE seq <= ?", row[0]); err != nil {
		return err
	}
	_, err = t.c.do("UPDATE haisu_collections SET purged = ? WHERE name = ?", row[0], c.name)
	return err
}

// Changes gives changes since token. A document appears at the place of its newest write only; a deleted one at the place of its
// deletion, for 30 days. A token from before a forgotten deletion is refused with store.ErrBadCursor: its holder must begin anew with
// "", which gives every document that exists.
func (e *Engine) Changes(ctx context.Context, coll, token string, limit int) ([]store.Change, string, error) {
	c, err := e.collection(coll)
	if err != nil {
		return nil, token, err
	}
	if !c.feed {
		return nil, token, fmt.Errorf("sqlite: collection %s keeps no feed", coll)
	}
	if limit < 1 || limit > store.MaxBatch {
		return nil, token, fmt.Errorf("sqlite: a page of %d changes; 1 to %d are allowed", limit, store.MaxBatch)
	}
	at, err := parsePlace(token)
	if err != nil {
		return nil, token, err
	}
	var out []store.Change
	next := at
	err = e.read(ctx, func(db *conn) error {
		out, next, err = c.changes(db, at, limit, e.now().UnixMilli())
		return err
	})
	if err != nil || next.seq == at.seq {
		return nil, token, err
	}
	return out, next.token(), nil
}

// place is where a follower stands: the sequence number up to which it has read, and what was forgotten already when it began.
// It never needs the deletions that were forgotten before it began.
type place struct{ seq, forgotten int64 }

func (p place) token() string {
	return strconv.FormatInt(p.seq, 10) + "~" + strconv.FormatInt(p.forgotten, 10)
}

func parsePlace(token string) (p place, err error) {
	if token == "" {
		return place{}, nil
	}
	seq, forgotten, ok := strings.Cut(token, "~")
	if ok {
		p.seq, err = strconv.ParseInt(seq, 10, 64)
	}
	if ok && err == nil {
		p.forgotten, err = strconv.ParseInt(forgotten, 10, 64)
	}
	if !ok || err != nil || p.seq < 1 || p.forgotten < 0 {
		return p, fmt.Errorf("feed token %q: %w", token, store.ErrBadCursor)
	}
	return p, nil
}

const selectPurged = "SELECT purged, (SELECT v FROM haisu_meta WHERE k = 'seq') FROM haisu_collections WHERE name = ?"

// changes reads documents and tombstones with one statement, so from one state of the database, and what is forgotten after that, so
// that nothing can be forgotten unnoticed in between.
func (c *collection) changes(db *conn, at place, limit int, now int64) (out []store.Change, next place, err error) {
	next, since := at, at.seq
	if since == 0 {
		row, err := db.one(selectPurged, c.name)
		if err != nil {
			return nil, at, err
		}
		next.forgotten = row[0].(int64)
	}
	text := `SELECT seq, id, rev, exp, body FROM (
		SELECT * FROM (SELECT seq, id, rev, exp, body FROM d_` + c.name + ` WHERE seq > ? ORDER BY seq LIMIT ?)
		UNION ALL
		SELECT * FROM (SELECT seq, id, 0, NULL, NULL FROM t_` + c.name + ` WHERE seq > ? ORDER BY seq LIMIT ?)
		) ORDER BY seq LIMIT ?`
	n := int64(limit)
	size := 0
	err = db.each(text, named(since, n, since, n, n), func(r []driver.Value) error {
		if size > pageBytes {
			return errEnough
		}
		next.seq = r[0].(int64)
		ch := store.Change{Record: store.Record{ID: r[1].(string)}}
		if r[2] == int64(0) {
			ch.Deleted = true
		} else {
			if exp, ok := r[3].(int64); ok && exp <= now {
				return nil // absent; the sweep's deletion follows
			}
			ch.Record = record(r[1:5])
			size += len(ch.Record.Body)
		}
		out = append(out, ch)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, at, err
	}
	row, err := db.one(selectPurged, c.name)
	if err != nil {
		return nil, at, err
	}
	if purged := row[0].(int64); since > 0 && purged > next.forgotten && since < purged {
		return nil, at, fmt.Errorf("a feed token from before forgotten deletions, or from before a restore: %w", store.ErrBadCursor)
	}
	if since > row[1].(int64) {
		return nil, at, fmt.Errorf("a feed token of another database: %w", store.ErrBadCursor)
	}
	return out, next, nil
}

// Wake gives a new channel of its own to each follower, which should keep it; from the 65th on followers share one.
func (e *Engine) Wake(coll string) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if all := e.wakes[coll]; len(all) == maxFollowers {
		return all[maxFollowers-1]
	}
	ch := make(chan struct{}, 1)
	e.wakes[coll] = append(e.wakes[coll], ch)
	return ch
}

func (e *Engine) wake(coll string) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, ch := range e.wakes[coll] {
		select {
		case ch <- struct{}{}:
		default: // it has one to read already
		}
	}
}
