package label

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/metrics"
	"strconv"
	"testing"
)

// countVariable makes the test binary write a document of so many labels to nowhere, and say how much memory that took at most.
const countVariable = "LABEL_MEMORY"

func TestMain(m *testing.M) {
	if count, err := strconv.ParseInt(os.Getenv(countVariable), 10, 64); err == nil {
		own, held, err := measuredSheets(count)
		if err != nil {
			panic(err)
		}
		if _, err := fmt.Fprintln(os.Stdout, own, held); err != nil {
			panic(err)
		}
		os.Exit(0) //nolint:forbidigo // the child process ends here
	}
	os.Exit(m.Run()) //nolint:forbidigo // what a TestMain does
}

// measuredSheets writes a document, and gives bytes of memory: the most that the runtime had of the system at a time, garbage and its own included, looked at after
// every label; and what the document holds before it is closed. The resident size would leave out what the runtime has and has not touched yet, which is less the
// longer a process runs.
func measuredSheets(count int64) (own, held uint64, err error) {
	sizes := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	labels := int64(0)
	err = writeSheets(io.Discard, count, func() {
		metrics.Read(sizes)
		own = max(own, sizes[0].Value.Uint64()-sizes[1].Value.Uint64())
		if labels++; labels == count {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			held = m.HeapAlloc
		}
	})
	return own, held, err
}

// writeSheets calls look after every label.
func writeSheets(out io.Writer, count int64, look func()) error {
	w := NewSheet(out, DefaultGeometry(), info, nil)
	for n := range count {
		if err := w.Add(numbered(n + 1)); err != nil {
			return err
		}
		look()
	}
	return w.Close()
}

// The memory of a process of its own that writes a document, on one processor, so that the collector keeps pace whatever else the machine does: at its peak, and
// held by the document at its end. What we hold ourselves to is that 100,000 labels take at most 1.2 times what 10,000 take. Takes some minutes.
func BenchmarkSheetMemory(b *testing.B) {
	for b.Loop() {
		ownFew, heldFew := memory(b, 10_000)
		own, held := memory(b, 100_000)
		b.ReportMetric(ownFew/1e6, "MB/10k")
		b.ReportMetric(own/1e6, "MB/100k")
		b.ReportMetric(own/ownFew, "peak-ratio")
		b.ReportMetric(heldFew/1e3, "held-kB/10k")
		b.ReportMetric(held/1e3, "held-kB/100k")
		b.ReportMetric(held/heldFew, "held-ratio")
	}
}

// memory gives bytes of a process: at the peak, and what the document held.
func memory(b *testing.B, count int64) (own, held float64) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", countVariable+"="+strconv.FormatInt(count, 10))
	out, err := cmd.Output()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := fmt.Sscan(string(out), &own, &held); err != nil {
		b.Fatal(err)
	}
	return own, held
}

func BenchmarkSheet(b *testing.B) {
	b.ReportAllocs()
	if err := writeSheets(io.Discard, int64(b.N), func() {}); err != nil {
		b.Fatal(err)
	}
}
