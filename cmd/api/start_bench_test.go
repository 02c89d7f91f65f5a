package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// idleFor is how long a started program is left alone before its memory is read.
const idleFor = 10 * time.Second

// BenchmarkStart builds the program as 'make build' does and as a plain 'go build' does, starts it over loaded demonstration data, and
// reports the time until /readyz answers and the memory (RSS) after idleFor. The first start, which loads the data, is reported apart.
func BenchmarkStart(b *testing.B) {
	for name, flags := range map[string][]string{"make-build": {"-trimpath", "-tags", "disable_grpc_modules", "-ldflags=-s"}, "go-build": nil} {
		b.Run(name, func(b *testing.B) {
			bin := filepath.Join(b.TempDir(), "api")
			build := exec.CommandContext(b.Context(), "go", append(append([]string{"build"}, flags...), "-o", bin, ".")...)
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
			dir := b.TempDir()
			first, stop := startProgram(b, bin, dir)
			rest() // until what was published is sent and can be searched
			stop()
			var total time.Duration
			b.ResetTimer()
			for i := range b.N {
				took, stop := startProgram(b, bin, dir)
				total += took
				if i == b.N-1 {
					rest()
					b.ReportMetric(residentMB(b, stop()), "idle-MB")
					break
				}
				stop()
			}
			b.ReportMetric(first.Seconds()*1e3, "first-start-ms")
			b.ReportMetric(total.Seconds()*1e3/float64(b.N), "ready-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func rest() { <-time.NewTimer(idleFor).C }

// startProgram starts the program and waits until it is ready. stop reads its status, ends it, and gives what it read.
func startProgram(b *testing.B, bin, dir string) (took time.Duration, stop func() []byte) {
	b.Helper()
	out := newWatched()
	cmd := exec.CommandContext(b.Context(), bin, "-data-dir", dir, "-addr", "127.0.0.1:0")
	cmd.Stdout = out
	begin := time.Now()
	check(b, cmd.Start())
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	m, err := out.wait(ctx, `is at (http://\S+)`)
	check(b, err)
	for {
		resp, err := http.Get(m[1] + "/readyz")
		if err == nil {
			check(b, resp.Body.Close())
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		check(b, ctx.Err())
	}
	took = time.Since(begin)
	return took, func() []byte {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		if err != nil {
			status = nil // no Linux
		}
		check(b, cmd.Process.Signal(os.Interrupt))
		check(b, cmd.Wait())
		return status
	}
}

var rssPattern = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

func residentMB(b *testing.B, status []byte) float64 {
	b.Helper()
	m := rssPattern.FindSubmatch(status)
	if m == nil {
		b.Log("the resident memory is read from /proc, which is not here")
		return 0
	}
	kb, err := strconv.Atoi(string(bytes.TrimSpace(m[1])))
	check(b, err)
	return float64(kb) / 1024
}
