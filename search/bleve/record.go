package bleve

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// record is the small database beside the index that names the complete generation. Its file lock is the lock on the
// folder: the operating system drops it when the process ends, however it ends.
type record struct {
	dir string
	db  *bbolt.DB
}

const generationPrefix = "gen-"

var (
	bucket     = []byte("search")
	currentKey = []byte("current")

	errLocked = errors.New("another process has the index folder")
	errNone   = errors.New("there is no complete index")
)

// openRecord takes the folder. errLocked, or the error of the file system.
func openRecord(dir string) (*record, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "index.db")
	db, err := openDB(path)
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, errLocked
	}
	if err != nil {
		// What it says can be found out again by a rebuild.
		if rmErr := os.Remove(path); rmErr != nil {
			return nil, errors.Join(err, rmErr)
		}
		if db, err = openDB(path); err != nil {
			return nil, err
		}
	}
	return &record{dir: dir, db: db}, nil
}

func openDB(path string) (db *bbolt.DB, err error) {
	err = protect(func() error {
		// The shortest wait there is: the lock is free now, or another process has it for as long as it lives.
		var err error
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 1})
		return err
	})
	return db, err
}

// current names the folder of the complete generation. errNone.
func (r *record) current() (string, error) {
	var value string
	err := protect(func() error {
		return r.db.View(func(tx *bbolt.Tx) error {
			if b := tx.Bucket(bucket); b != nil {
				value = string(b.Get(currentKey))
			}
			return nil
		})
	})
	if err != nil {
		return "", err
	}
	ver, name, _ := strings.Cut(value, " ")
	if value == "" || !strings.HasPrefix(name, generationPrefix) || name != filepath.Base(name) {
		return "", errNone
	}
	if ver != strconv.Itoa(schema) {
		return "", fmt.Errorf("%w: it has schema %q, this program writes %d", errNone, ver, schema)
	}
	return name, nil
}

// set names the complete generation, durably; empty: there is none.
func (r *record) set(name string) error {
	value := ""
	if name != "" {
		value = strconv.Itoa(schema) + " " + name
	}
	return protect(func() error {
		return r.db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(bucket)
			if err != nil {
				return err
			}
			return b.Put(currentKey, []byte(value))
		})
	})
}

// generations lists the folders of all generations.
func (r *record) generations() ([]string, error) {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), generationPrefix) {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// fresh names a folder that does not exist.
func (r *record) fresh() (string, error) {
	names, err := r.generations()
	if err != nil {
		return "", err
	}
	last := 0
	for _, name := range names {
		if n, err := strconv.Atoi(strings.TrimPrefix(name, generationPrefix)); err == nil {
			last = max(last, n)
		}
	}
	return generationPrefix + strconv.Itoa(last+1), nil
}

func (r *record) removeOthers(keep string) error {
	names, err := r.generations()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if name != keep {
			errs = append(errs, os.RemoveAll(filepath.Join(r.dir, name)))
		}
	}
	return errors.Join(errs...)
}

func (r *record) close() error { return r.db.Close() }
