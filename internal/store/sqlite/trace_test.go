package sqlite

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAcknowledgedAfterFsync reads the system calls of a process that inserts and acknowledges.
func TestAcknowledgedAfterFsync(t *testing.T) {
	t.Parallel()
	const inserts = 200
	calls, dir := traced(t, "insert", inserts)
	acks, violations := checkTrace(calls, "/acks", "/t.db-wal")
	if acks != inserts {
		t.Fatalf("%d acknowledgements in the trace, want %d", acks, inserts)
	}
	if !entryDurable(calls, dir, "/acks") {
		t.Error("the directory of the fresh file was not synced before the first acknowledgement")
	}
	for _, v := range violations {
		t.Error(v)
	}
}

// TestTraceCheckerCanFail runs the checker on a process that does not fsync.
func TestTraceCheckerCanFail(t *testing.T) {
	t.Parallel()
	const inserts = 50
	calls, _ := traced(t, "unsynced", inserts)
	acks, violations := checkTrace(calls, "/acks", "/t.db-wal")
	if acks != inserts || len(violations) != inserts {
		t.Fatalf("%d of %d acknowledgements without an fsync were found out", len(violations), acks)
	}
}

// traced runs a child under strace and gives its calls and the directory that it worked in.
func traced(t *testing.T, name string, inserts int) (calls []*call, dir string) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: the order of system calls is not checked")
	}
	if out, err := exec.CommandContext(t.Context(), strace, "-qq", "-e", "trace=none", os.Args[0], "-test.run=^$").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here: the order of system calls is not checked: %v: %s", err, out)
	}
	dir = t.TempDir()
	log := filepath.Join(dir, "trace")
	cmd := child(t, name, filepath.Join(dir, "t.db"), fmt.Sprint(inserts),
		strace, "-f", "-qq", "-y", "-xx", "-s", "5000", "-e", "trace=pwrite64,write,fsync,fdatasync", "-e", "signal=none", "-o", log)
	acksFile, err := os.Create(filepath.Join(dir, "acks"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = acksFile
	if err := errors.Join(cmd.Run(), acksFile.Close()); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	calls, err = parseTrace(f)
	if err != nil {
		t.Fatal(err)
	}
	return calls, dir
}

// call is one system call: which lines of the trace it begins and ends in, and its file and data. end is 0 if it did not succeed.
type call struct {
	name       string
	file       string
	data       []byte
	begin, end int
}

var (
	begun   = regexp.MustCompile(`^(\d+) +(\w+)\(\d+<([^>]*)>(?:, "([^"]*)")?`)
	resumed = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>`)
	success = regexp.MustCompile(`\) += \d+$`)
)

func parseTrace(r io.Reader) ([]*call, error) {
	var calls []*call
	open := map[string]*call{} // by thread
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		ended, thread := (*call)(nil), ""
		if m := begun.FindStringSubmatch(line); m != nil {
			file, err := unhex(m[3])
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			data, err := unhex(m[4])
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			ended, thread = &call{name: m[2], file: string(file), data: data, begin: n}, m[1]
			calls = append(calls, ended)
		} else if m := resumed.FindStringSubmatch(line); m != nil {
			ended, thread = open[m[1]], m[1]
		}
		if ended == nil {
			continue
		}
		if strings.Contains(line, "<unfinished ...>") {
			open[thread] = ended
		} else if success.MatchString(line) {
			ended.end = n
		}
	}
	return calls, lines.Err()
}

// unhex reads strace's \x.. notation, which paths are given in only partly.
func unhex(s string) ([]byte, error) {
	if !strings.HasPrefix(s, `\x`) {
		return []byte(s), nil
	}
	return hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
}

// checkTrace finds the acknowledgements and those that break the rule: an acknowledgement begins after an fsync of the WAL ended well
// that began after the frame with the record and the commit frame of its transaction were written.
func checkTrace(calls []*call, acksFile, walFile string) (acks int, violations []string) {
	for i, ack := range calls {
		if ack.name != "write" || !strings.HasSuffix(ack.file, acksFile) {
			continue
		}
		acks++
		if id := bytes.TrimSpace(ack.data); !durable(calls[:i], ack.begin, id, walFile) {
			violations = append(violations, fmt.Sprintf("%s was acknowledged in line %d before it was durable", id, ack.begin))
		}
	}
	return acks, violations
}

func durable(calls []*call, ackBegin int, id []byte, walFile string) bool {
	const frameHeader, databaseSize = 24, 4 // bytes; the size, at offset 4, is not 0 in commit frames only
	record, commit, page := 0, false, 0     // lines; page is where the commit frame's page was written
	for _, c := range calls {
		if c.end == 0 || c.end >= ackBegin || !strings.HasSuffix(c.file, walFile) {
			continue
		}
		switch {
		case page > 0 && (c.name == "fsync" || c.name == "fdatasync") && c.begin > page:
			return true
		case c.name != "pwrite64" || page > 0:
		case len(c.data) == frameHeader:
			commit = binaryNonZero(c.data[databaseSize : 2*databaseSize])
		default:
			if record == 0 && bytes.Contains(c.data, id) {
				record = c.end
			}
			if record > 0 && commit {
				page = c.end
			}
		}
	}
	return false
}

func binaryNonZero(b []byte) bool { return !bytes.Equal(b, make([]byte, len(b))) }

// entryDurable tells whether the directory was synced before the first acknowledgement.
func entryDurable(calls []*call, dir, acksFile string) bool {
	synced := 0
	for _, c := range calls {
		if c.end > 0 && c.name == "fsync" && c.file == dir {
			synced = c.end
		}
		if c.name == "write" && strings.HasSuffix(c.file, acksFile) {
			return synced > 0 && synced < c.begin
		}
	}
	return false
}
