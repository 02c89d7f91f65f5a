package secret

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// PrepareFile adds a key that opens and does not seal yet; the next RotateFile makes it the primary. Where one is waiting already nothing
// changes. It is for installations whose machines have copies of the file: copy it everywhere, then rotate.
func PrepareFile(path string) error {
	return change(path, func(_ *file, h *keyset.Handle, m *keyset.Manager) error {
		waiting, err := after(h)
		if err != nil || len(waiting) > 0 {
			return err
		}
		_, err = m.Add(aead.AES256GCMKeyTemplate())
		return err
	})
}

// RotateFile gives the file a new primary: the key that PrepareFile added, or a fresh one. The old keys stay and still open. The file is
// replaced in one step, durable before RotateFile returns, with mode 0600; whoever reads it meanwhile finds the old file or the new one.
func RotateFile(path string, at time.Time) error {
	return change(path, func(f *file, h *keyset.Handle, m *keyset.Manager) error {
		waiting, err := after(h)
		if err != nil {
			return err
		}
		if len(waiting) == 0 {
			id, err := m.Add(aead.AES256GCMKeyTemplate())
			if err != nil {
				return err
			}
			waiting = append(waiting, id)
		}
		f.Rotated = at.UTC().Truncate(time.Second)
		return m.SetPrimary(waiting[0])
	})
}

// SettleTime is how long after a rotation the keys before it cannot be retired: a process that has not noticed the rotation might
// seal with one of them after it was found to be out of use. A running process notices within a second; a copy of the file takes
// longer to be everywhere.
const SettleTime = time.Hour

// ErrUnsettled says that the last rotation is less than SettleTime old.
var ErrUnsettled = errors.New("the keys were rotated less than an hour ago; a process may still seal with an old one")

// RetireFile drops the keys before the primary that nothing is sealed with any more, and says how many it dropped and how many
// it had to leave. inUse tells how much is sealed with each key; it is asked while no other change of the file can happen. The MAC key and a
// prepared key stay. ErrUnsettled.
func RetireFile(path string, at time.Time, inUse func() (map[uint32]int, error)) (dropped, left int, err error) {
	err = change(path, func(f *file, h *keyset.Handle, m *keyset.Manager) error {
		old, err := before(h)
		if err != nil || len(old) == 0 {
			return err
		}
		if at.Sub(f.Rotated) < SettleTime {
			return ErrUnsettled
		}
		used, err := inUse()
		if err != nil {
			return err
		}
		for _, id := range old {
			if used[id] > 0 {
				left++
				continue
			}
			if err := m.Delete(id); err != nil {
				return err
			}
			dropped++
		}
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	return dropped, left, nil
}

// before and after give the IDs of the keys before and after the primary: keys are in the order in which they were added.
func before(h *keyset.Handle) ([]uint32, error) { return split(h, false) }
func after(h *keyset.Handle) ([]uint32, error)  { return split(h, true) }

func split(h *keyset.Handle, behind bool) ([]uint32, error) {
	var ids []uint32
	passed := false
	for i := range h.Len() {
		e, err := h.Entry(i)
		switch {
		case err != nil:
			return nil, err
		case e.IsPrimary():
			passed = true
		case passed == behind:
			ids = append(ids, e.KeyID())
		}
	}
	return ids, nil
}

// change edits the file: one process at a time, in one step for whoever reads it.
func change(path string, edit func(f *file, h *keyset.Handle, m *keyset.Manager) error) (err error) {
	path, err = filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("keys file: %w", err)
	}
	unlock, err := lock(path + ".lock")
	if err != nil {
		return fmt.Errorf("lock keys file: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	f, err := readFile(path)
	if err != nil {
		return err
	}
	h, err := f.handle()
	if err != nil {
		return err
	}
	m := keyset.NewManagerFromHandle(h)
	if err := edit(f, h, m); err != nil {
		return err
	}
	if h, err = m.Handle(); err != nil {
		return fmt.Errorf("keys file: aead: %w", err)
	}
	if err := f.setHandle(h); err != nil {
		return fmt.Errorf("keys file: aead: %w", err)
	}
	return f.place(path, func(tmp string) error { return os.Rename(tmp, path) })
}
