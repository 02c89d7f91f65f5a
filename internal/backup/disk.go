package backup

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"
)

// disk is what writing needs of a file system.
type disk interface {
	// create makes a new file of mode 0600 for a file that will be called so, in the same directory.
	create(path string) (file, error)
	rename(from, to string) error
	syncDir(dir string) error
	remove(path string) error
}

type file interface {
	io.WriteCloser
	Name() string
	Sync() error
}

// partial is how temporary files are called.
const partial = ".haisu-*.part"

type osDisk struct{}

func (osDisk) create(path string) (file, error) { return os.CreateTemp(filepath.Dir(path), partial) }
func (osDisk) rename(from, to string) error     { return os.Rename(from, to) }
func (osDisk) remove(path string) error         { return os.Remove(path) }

func (osDisk) syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// staleAfter is how long nobody has written to the temporary file of a backup that was killed. One that runs writes all the time.
const staleAfter = time.Hour

// tidy removes what killed backups left in a directory.
func tidy(d disk, dir string, now time.Time) error {
	all, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range all {
		if ours, err := filepath.Match(partial, entry.Name()); err != nil || !ours {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if now.Sub(info.ModTime()) < staleAfter {
			continue
		}
		if err := d.remove(filepath.Join(dir, entry.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
