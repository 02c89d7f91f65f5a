package label

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// countVariable makes the test binary write a document of so many labels to nowhere, and say how much memory that took at most.
const countVariable = "LABEL_MEMORY"

func TestMain(m *testing.M) {
	if count, err := strconv.ParseInt(os.Getenv(countVariable), 10, 64); err == nil {
		if err := writeSheets(io.Discard, count); err != nil {
			panic(err)
		}
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			panic(err)
		}
		_, _ = os.Stdout.Write(status)
		os.Exit(0) //nolint:forbidigo // the child process ends here
	}
	os.Exit(m.Run()) //nolint:forbidigo // what a TestMain does
}

func writeSheets(out io.Writer, count int64) error {
	w := NewSheet(out, DefaultGeometry(), info, nil)
	for n := range count {
		if err := w.Add(numbered(n + 1)); err != nil {
			return err
		}
	}
	return w.Close()
}

// The peak of memory of a process of its own that writes a document. What we hold ourselves to is that 100,000 labels take at most 1.2 times what 10,000
// take: the most of three such documents, since how far the garbage collector lets the heap go varies, and a longer run sees more of that. Takes some minutes.
func BenchmarkSheetMemory(b *testing.B) {
	for b.Loop() {
		few, many := max(peak(b, 10_000), peak(b, 10_000), peak(b, 10_000)), peak(b, 100_000)
		b.ReportMetric(few/1024, "MB/10k")
		b.ReportMetric(many/1024, "MB/100k")
		b.ReportMetric(many/few, "ratio")
	}
}

// peak gives the largest resident size in kilobytes.
func peak(b *testing.B, count int64) float64 {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), countVariable+"="+strconv.FormatInt(count, 10))
	out, err := cmd.Output()
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := bytes.Cut(out, []byte("VmHWM:"))
	var kB float64
	if _, err := fmt.Sscan(string(after), &kB); err != nil {
		b.Fatalf("no VmHWM: %v", err)
	}
	return kB
}

func BenchmarkSheet(b *testing.B) {
	b.ReportAllocs()
	if err := writeSheets(io.Discard, int64(b.N)); err != nil {
		b.Fatal(err)
	}
}
