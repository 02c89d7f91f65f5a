package disk

import (
	"errors"
	"io"
	"os"
)

// files is what changing the directory asks of a file system. Tests have one that dies.
type files interface {
	mkdirAll(dir string) error
	// create makes a new file of mode 0600 in a directory.
	create(dir string) (file, error)
	rename(from, to string) error
	remove(path string) error
	syncDir(dir string) error
}

type file interface {
	io.WriteCloser
	Name() string
	Sync() error
}

// machine is the file system of the machine.
type machine struct{}

func (machine) mkdirAll(dir string) error       { return os.MkdirAll(dir, 0o700) }
func (machine) create(dir string) (file, error) { return os.CreateTemp(dir, "put-*") }
func (machine) rename(from, to string) error    { return os.Rename(from, to) }
func (machine) remove(path string) error        { return os.Remove(path) }

func (machine) syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
