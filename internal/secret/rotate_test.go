package secret_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/secret"
)

var rotated = time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)

// fresh makes a keys file and two processes that read it.
func fresh(t *testing.T) (path string, one, two *secret.Box) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "keys.json")
	return path, open(t, path), open(t, path)
}

func open(t *testing.T, path string) *secret.Box {
	t.Helper()
	b, err := secret.OpenFile(path, true)
	must(t, err)
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func seal(t *testing.T, b *secret.Box) string {
	t.Helper()
	s, err := b.Seal("p", []byte("x"))
	must(t, err)
	if id, ok := secret.KeyOf(s); !ok || id != b.Primary() {
		t.Fatalf("sealed with %d %t, the primary is %d", id, ok, b.Primary())
	}
	return s
}

func opens(b *secret.Box, sealed string) bool {
	p, err := b.Open("p", sealed)
	return err == nil && string(p) == "x"
}

func TestARunningProcessOpensWhatAnotherSealedWithTheNewKey(t *testing.T) {
	t.Parallel()
	path, one, two := fresh(t)
	old, hash := seal(t, one), one.Hash("p", "token")
	must(t, secret.RotateFile(path, rotated))
	if changed, err := one.Reload(); err != nil || !changed {
		t.Fatal(changed, err)
	}
	if changed, err := one.Reload(); err != nil || changed {
		t.Fatalf("an unchanged file was read again: %v", err)
	}
	young := seal(t, one)
	if !opens(two, young) || !opens(two, old) || !opens(one, old) {
		t.Fatal("a process that knew nothing of the rotation cannot open what was sealed before and after it")
	}
	if two.Primary() != one.Primary() || two.Hash("p", "token") != hash {
		t.Fatal("the hashes changed, or the primaries differ")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
}

func TestRunNoticesARotatedFile(t *testing.T) {
	t.Parallel()
	path, box, _ := fresh(t)
	before := box.Primary()
	must(t, secret.RotateFile(path, rotated))
	ctx, cancel := context.WithCancel(t.Context())
	seen := &notice{want: "read again", cancel: cancel}
	must(t, box.Run(ctx, slog.New(slog.NewTextHandler(seen, nil))))
	if box.Primary() == before {
		t.Fatal("the rotation went unnoticed")
	}
}

// notice is a log that ends something when it reads what it waits for.
type notice struct {
	want   string
	cancel func()
}

func (n *notice) Write(p []byte) (int, error) {
	if strings.Contains(string(p), n.want) {
		n.cancel()
	}
	return len(p), nil
}

func TestPreparedKeyOpensBeforeItSeals(t *testing.T) {
	t.Parallel()
	path, box, _ := fresh(t)
	first := box.Primary()
	must(t, secret.PrepareFile(path))
	must(t, secret.PrepareFile(path)) // a command may be repeated
	copied := filepath.Join(t.TempDir(), "copy.json")
	data, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(copied, data, 0o600))
	elsewhere := open(t, copied)
	if elsewhere.Primary() != first {
		t.Fatal("a prepared key seals")
	}
	must(t, secret.RotateFile(path, rotated))
	if _, err := box.Reload(); err != nil {
		t.Fatal(err)
	}
	if box.Primary() == first || !opens(elsewhere, seal(t, box)) {
		t.Fatal("another machine cannot open what was sealed with the prepared key")
	}
}

func TestOldKeysAreDroppedOnlyOutOfUse(t *testing.T) {
	t.Parallel()
	path, box, _ := fresh(t)
	sealed := seal(t, box)
	first := box.Primary()
	must(t, secret.RotateFile(path, rotated))
	used := map[uint32]int{first: 1}
	inUse := func() (map[uint32]int, error) { return used, nil }
	if _, _, err := secret.RetireFile(path, rotated.Add(time.Minute), inUse); !errors.Is(err, secret.ErrUnsettled) {
		t.Fatal(err)
	}
	later := rotated.Add(secret.SettleTime)
	if dropped, left, err := secret.RetireFile(path, later, inUse); err != nil || dropped != 0 || left != 1 {
		t.Fatal(dropped, left, err)
	}
	if !opens(open(t, path), sealed) {
		t.Fatal("a key in use was dropped")
	}
	broken := errors.New("the store is away")
	if _, _, err := secret.RetireFile(path, later, func() (map[uint32]int, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	must(t, secret.PrepareFile(path))
	used = nil
	if dropped, left, err := secret.RetireFile(path, later, inUse); err != nil || dropped != 1 || left != 0 {
		t.Fatal(dropped, left, err)
	}
	b := open(t, path)
	if opens(b, sealed) || !opens(b, seal(t, b)) {
		t.Fatal("the wrong key was dropped")
	}
	must(t, secret.RotateFile(path, later)) // to the prepared one, which was not dropped
	if next := open(t, path); next.Primary() == b.Primary() || !opens(next, seal(t, b)) {
		t.Fatal("the prepared key was lost")
	}
}

// Every rotation of several at once survives: none overwrites another's key.
func TestRotationsAtOnceLoseNoKey(t *testing.T) {
	t.Parallel()
	path, _, _ := fresh(t)
	var wg sync.WaitGroup
	sealed := make([]string, 8)
	for i := range sealed {
		wg.Go(func() {
			if err := secret.RotateFile(path, rotated); err != nil {
				t.Error(err)
				return
			}
			b, err := secret.OpenFile(path, false)
			if err == nil {
				sealed[i], err = b.Seal("p", []byte("x"))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, s := range sealed {
		if !opens(open(t, path), s) {
			t.Errorf("what rotation %d sealed does not open", i)
		}
	}
}

func TestAFileThatIsNotTheInstallationsIsRefused(t *testing.T) {
	t.Parallel()
	path, box, _ := fresh(t)
	sealed := seal(t, box)
	other, _, _ := fresh(t)
	must(t, os.Rename(other, path))
	if _, err := box.Reload(); err == nil || !strings.Contains(err.Error(), "MAC") {
		t.Fatalf("got %v", err)
	}
	must(t, os.WriteFile(path, []byte("{"), 0o600))
	if _, err := box.Reload(); err == nil {
		t.Fatal("half a file was taken")
	}
	if !opens(box, sealed) {
		t.Fatal("the keys did not stay")
	}
}
