package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"maps"
	"slices"

	"github.com/haisu-trace/haisu/internal/store"
)

// format is the layout of the file. A program opens files of its own format only.
const format = 1

// initialise creates the engine's own tables in a fresh file:
//
//   - haisu_meta: 'format'; 'seq', the last number given to a feed; 'ping', written by Ping.
//   - haisu_collections: which collections exist and keep a feed; purged is the highest number of a forgotten tombstone.
//   - haisu_indexes: the number that stands for an index in the entries, and whether its entries are complete.
//   - haisu_restores: the restores that were begun, with the place before the first of their feeds, and whether they have ended.
//   - haisu_restoring: the collections that an unfinished restore fills.
func initialise(t *tx) error {
	for _, ddl := range []string{
		"CREATE TABLE IF NOT EXISTS haisu_meta (k TEXT PRIMARY KEY, v INTEGER NOT NULL) WITHOUT ROWID",
		"CREATE TABLE IF NOT EXISTS haisu_collections (name TEXT PRIMARY KEY, feed INTEGER NOT NULL, purged INTEGER NOT NULL) WITHOUT ROWID",
		`CREATE TABLE IF NOT EXISTS haisu_indexes (coll TEXT NOT NULL, name TEXT NOT NULL, ix INTEGER NOT NULL, version TEXT NOT NULL,
			complete INTEGER NOT NULL, PRIMARY KEY (coll, name)) WITHOUT ROWID`,
		"CREATE TABLE IF NOT EXISTS haisu_restores (id TEXT PRIMARY KEY, first INTEGER NOT NULL, done INTEGER NOT NULL) WITHOUT ROWID",
		"CREATE TABLE IF NOT EXISTS haisu_restoring (coll TEXT PRIMARY KEY, id TEXT NOT NULL) WITHOUT ROWID",
	} {
		if _, err := t.c.do(ddl); err != nil {
			return err
		}
	}
	if _, err := t.c.do("INSERT INTO haisu_meta VALUES ('format', ?), ('seq', 0), ('ping', 0) ON CONFLICT DO NOTHING", int64(format)); err != nil {
		return err
	}
	row, err := t.c.one("SELECT v FROM haisu_meta WHERE k = 'format'")
	if err != nil {
		return err
	}
	if row[0] != int64(format) {
		return fmt.Errorf("sqlite: the file has format %v, this program knows %d", row[0], format)
	}
	return nil
}

// collection is a declared collection and the statements on it. Its tables:
//
//   - d_NAME, the documents. n is internal. seq is the document's newest place in the feed. ents is a copy of its index entries.
//     Documents have a rowid, because bodies inside the ID's b-tree would make it deep and every step down it slow.
//   - e_NAME, the index entries of all indexes in the order of a scan, each with the n of its document.
//   - t_NAME, tombstones: the feed's memory of deleted documents, with the time of the deletion.
type collection struct {
	name    string
	feed    bool
	indexes map[string]int64

	insert, find, findBody, update, remove, addEntry, dropEntry string
	setEnts, bury, expired, sweep, getOne, all, restore         string
}

func ddl(name string, feed bool) []string {
	out := []string{
		"CREATE TABLE IF NOT EXISTS d_" + name + ` (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, rev INTEGER NOT NULL,
			exp INTEGER, seq INTEGER, ents BLOB, body BLOB NOT NULL)`,
		"CREATE INDEX IF NOT EXISTS x_" + name + " ON d_" + name + " (exp) WHERE exp IS NOT NULL",
		"CREATE TABLE IF NOT EXISTS e_" + name + ` (ix INTEGER NOT NULL, eq BLOB NOT NULL, ord BLOB NOT NULL, id TEXT NOT NULL,
			n INTEGER NOT NULL, PRIMARY KEY (ix, eq, ord, id)) WITHOUT ROWID`,
	}
	if feed {
		out = append(out,
			"CREATE TABLE IF NOT EXISTS t_"+name+" (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL)",
			"CREATE INDEX IF NOT EXISTS s_"+name+" ON d_"+name+" (seq)")
	}
	return out
}

func newCollection(name string, feed bool, indexes map[string]int64) *collection {
	return &collection{
		name: name, feed: feed, indexes: indexes,
		insert:    "INSERT INTO d_" + name + " (id, rev, exp, seq, ents, body) VALUES (?, 1, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
		find:      "SELECT n, rev, exp, ents FROM d_" + name + " WHERE id = ?",
		findBody:  "SELECT n, rev, exp, ents, body FROM d_" + name + " WHERE id = ?",
		update:    "UPDATE d_" + name + " SET rev = ?, exp = ?, seq = ?, ents = ?, body = ? WHERE n = ?",
		remove:    "DELETE FROM d_" + name + " WHERE n = ?",
		addEntry:  "INSERT INTO e_" + name + " (ix, eq, ord, id, n) VALUES (?, ?, ?, ?, ?)",
		dropEntry: "DELETE FROM e_" + name + " WHERE ix = ? AND eq = ? AND ord = ? AND id = ?",
		bury:      "INSERT INTO t_" + name + " (seq, id, at) VALUES (?, ?, ?)",
		restore:   "INSERT INTO d_" + name + " (id, rev, exp, seq, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
		setEnts:   "UPDATE d_" + name + " SET ents = ? WHERE n = ?",
		expired:   "SELECT 1 FROM d_" + name + " WHERE exp <= ? LIMIT 1",
		getOne:    "SELECT id, rev, exp, body FROM d_" + name + " WHERE id = ?",
		all:       "SELECT id, rev, exp, body FROM d_" + name + " WHERE id > ? AND (exp IS NULL OR exp > ?) ORDER BY id LIMIT ?",
		sweep:     "SELECT n, id, ents FROM d_" + name + " WHERE exp <= ? ORDER BY exp LIMIT ?",
	}
}

func (c *collection) index(name string) (int64, error) {
	ix, ok := c.indexes[name]
	if !ok {
		return 0, fmt.Errorf("sqlite: collection %s has no index %q", c.name, name)
	}
	return ix, nil
}

func (e *Engine) collection(name string) (*collection, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	c := e.colls[name]
	if c == nil {
		return nil, fmt.Errorf("sqlite: collection %q is not declared", name)
	}
	return c, nil
}

func checkName(name string) error {
	for i := range len(name) {
		if (name[i] < 'a' || name[i] > 'z') && name[i] != '_' {
			return fmt.Errorf("sqlite: collection name %q is not of [a-z_]+", name)
		}
	}
	if name == "" {
		return fmt.Errorf("sqlite: empty collection name")
	}
	return nil
}

// declared is what the file knows about a collection.
type declared struct {
	exists, feed bool
	restore      string // the unfinished restore that fills it
	indexes      map[string]declaredIndex
}

func (d declared) restoring(coll string) error {
	return fmt.Errorf("sqlite: %s: restore %s: %w", coll, d.restore, store.ErrRestoring)
}

type declaredIndex struct {
	ix       int64
	version  string
	complete bool
}

func readDeclared(c *conn, name string) (declared, error) {
	d := declared{indexes: map[string]declaredIndex{}}
	row, err := c.one("SELECT feed, coalesce(id, '') FROM haisu_collections LEFT JOIN haisu_restoring ON coll = name WHERE name = ?", name)
	if err != nil || row == nil {
		return d, err
	}
	d.exists, d.feed, d.restore = true, row[0] != int64(0), row[1].(string)
	err = c.each("SELECT name, ix, version, complete FROM haisu_indexes WHERE coll = ?", named(name), func(row []driver.Value) error {
		d.indexes[row[0].(string)] = declaredIndex{row[1].(int64), row[2].(string), row[3] != int64(0)}
		return nil
	})
	return d, err
}

// matches tells whether declaring spec would change nothing.
func (d declared) matches(spec store.Spec) bool {
	if !d.exists || (spec.Feed && !d.feed) {
		return false
	}
	for name, ix := range d.indexes {
		if version, ok := spec.Indexes[name]; (ok && version != ix.version) || (!ok && ix.complete) {
			return false
		}
	}
	for name := range spec.Indexes {
		if _, ok := d.indexes[name]; !ok {
			return false
		}
	}
	return true
}

// Declare creates or updates a collection. An index that is no longer declared counts as incomplete from now on, so that it is rebuilt
// should it come back. A feed once kept is kept for ever. ErrRestoring.
func (e *Engine) Declare(ctx context.Context, spec store.Spec) ([]string, error) {
	if err := checkName(spec.Name); err != nil {
		return nil, err
	}
	var d declared
	err := e.read(ctx, func(c *conn) (err error) {
		d, err = readDeclared(c, spec.Name)
		return err
	})
	if err != nil {
		return nil, err
	}
	if d.restore == "" && !d.matches(spec) {
		spec.Indexes = maps.Clone(spec.Indexes)
		err := e.single(ctx, func(t *tx) (outcome, err error) {
			// Read again, or a restore that has begun since would be taken apart.
			if d, err := readDeclared(t.c, spec.Name); err != nil || d.restore != "" {
				return nil, err
			}
			return nil, declare(t, spec)
		})
		if err != nil {
			return nil, err
		}
		err = e.read(ctx, func(c *conn) (err error) {
			d, err = readDeclared(c, spec.Name)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if d.restore != "" {
		return nil, d.restoring(spec.Name)
	}
	numbers := map[string]int64{}
	var stale []string
	for name := range spec.Indexes {
		numbers[name] = d.indexes[name].ix
		if !d.indexes[name].complete {
			stale = append(stale, name)
		}
	}
	slices.Sort(stale)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.colls[spec.Name] = newCollection(spec.Name, d.feed, numbers)
	return stale, nil
}

func declare(t *tx, spec store.Spec) error {
	d, err := readDeclared(t.c, spec.Name)
	if err != nil {
		return err
	}
	feed := d.feed || spec.Feed
	for _, text := range ddl(spec.Name, feed) {
		if _, err := t.c.do(text); err != nil {
			return err
		}
	}
	_, err = t.c.do(`INSERT INTO haisu_collections VALUES (?, ?, 0) ON CONFLICT (name) DO UPDATE SET feed = excluded.feed`, spec.Name, flag(feed))
	if err != nil {
		return err
	}
	if feed && !d.feed && d.exists {
		if err := startFeed(t, spec.Name); err != nil {
			return err
		}
	}
	next := int64(1)
	for name, ix := range d.indexes {
		next = max(next, ix.ix+1)
		if _, ok := spec.Indexes[name]; !ok {
			if _, err := t.c.do("UPDATE haisu_indexes SET complete = 0 WHERE coll = ? AND name = ?", spec.Name, name); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Indexes)) {
		version := spec.Indexes[name]
		if old, ok := d.indexes[name]; ok && old.version == version {
			continue
		}
		_, err := t.c.do(`INSERT INTO haisu_indexes (coll, name, ix, version, complete) VALUES (?, ?, ?, ?, 0)
			ON CONFLICT (coll, name) DO UPDATE SET version = excluded.version, complete = 0`, spec.Name, name, next, version)
		if err != nil {
			return err
		}
		next++
	}
	return nil
}

// startFeed gives the documents of a collection that had no feed their places in it.
func startFeed(t *tx, coll string) error {
	first, err := t.nextSeq(coll)
	if err != nil {
		return err
	}
	row, err := t.c.one("SELECT count(*), min(n), max(n) FROM d_" + coll)
	if err != nil || row[0] == int64(0) {
		return err
	}
	low, high := row[1].(int64), row[2].(int64)
	if _, err := t.c.do("UPDATE d_"+coll+" SET seq = n - ? + ? WHERE seq IS NULL", low, first); err != nil {
		return err
	}
	t.seq = first + high - low
	return nil
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Rebuilt marks indexes as complete, if they still have the declared version.
func (e *Engine) Rebuilt(ctx context.Context, spec store.Spec, indexes []string) error {
	if _, err := e.collection(spec.Name); err != nil {
		return err
	}
	versions := map[string]string{}
	for _, name := range indexes {
		version, ok := spec.Indexes[name]
		if !ok {
			return fmt.Errorf("sqlite: collection %s declares no index %q", spec.Name, name)
		}
		versions[name] = version
	}
	return e.writer.do(ctx, 1, func(t *tx) error {
		for name, version := range versions {
			_, err := t.c.do("UPDATE haisu_indexes SET complete = 1 WHERE coll = ? AND name = ? AND version = ?", spec.Name, name, version)
			if err != nil {
				return err
			}
		}
		return nil
	})
}
