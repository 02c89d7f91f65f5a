package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// childEnv makes this test binary the program itself, with the environment for its settings: a process that can be killed.
const childEnv = "HAISU_API_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Args = os.Args[:1]
		main()
		return
	}
	m.Run()
}

// mortal is the program in a process of its own, in a directory that outlives it.
type mortal struct {
	*program
	cmd *exec.Cmd
}

// skipShort leaves out what takes minutes with the race detector and has nothing for it: the same code runs in one process in other tests.
func skipShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("kills processes; runs without -short")
	}
}

func startMortal(t *testing.T, dir string) *mortal {
	t.Helper()
	m := &mortal{program: &program{t: t, env: map[string]string{"DATA_DIR": dir, "DEMO": "off"}}}
	m.again()
	t.Cleanup(m.kill)
	return m
}

// again starts the program, which must not run.
func (m *mortal) again() {
	m.t.Helper()
	self, err := os.Executable()
	check(m.t, err)
	m.out, m.logs = newWatched(), newWatched()
	m.cmd = exec.CommandContext(context.WithoutCancel(m.t.Context()), self)
	m.cmd.Env = append(os.Environ(), childEnv+"=1", "ADDR=127.0.0.1:0")
	for k, v := range m.env {
		m.cmd.Env = append(m.cmd.Env, k+"="+v)
	}
	m.cmd.Stdout, m.cmd.Stderr = m.out, m.logs
	check(m.t, m.cmd.Start())
	ctx, stop := context.WithTimeout(m.t.Context(), time.Minute)
	defer stop()
	at, err := m.out.wait(ctx, `is at (http://\S+)`)
	if err != nil {
		m.t.Fatalf("%v\n%s", err, m.logs)
	}
	m.base = at[1]
}

// kill ends the process at whatever instruction it is (SIGKILL).
func (m *mortal) kill() {
	if m.cmd.ProcessState == nil {
		_ = m.cmd.Process.Kill() // it may have ended
		_ = m.cmd.Wait()         // it was killed: that is the error
	}
}

// killAt kills the process once the job has come so far, and starts it again.
func (m *mortal) killAt(job string, seller map[string]string, point float64) {
	m.t.Helper()
	m.within(2*time.Minute, fmt.Sprintf("%s at %.0f", job, point), func() bool {
		j := m.do(nil, "GET", job, seller, nil, 200).json(m.t)
		if state := at(m.t, j, "state"); state == "success" || state == "failed" {
			m.t.Fatalf("the job has ended before it could be killed at %.0f: %v", point, j)
		}
		done, _ := j["done"].(float64)
		return done >= point
	})
	m.kill()
	m.again()
}

// ended waits for the end of a job, of which a dead process has the lease for a while, and gives it.
func (m *mortal) ended(job string, seller map[string]string) (j map[string]any) {
	m.t.Helper()
	m.within(2*time.Minute, "the end of "+job, func() bool {
		j = m.do(nil, "GET", job, seller, nil, 200).json(m.t)
		state := at(m.t, j, "state")
		return state != "queued" && state != "running"
	})
	return j
}

// events counts the events that the firm sees, each once.
func (m *mortal) events(seller map[string]string) int {
	m.t.Helper()
	seen := map[string]bool{}
	for url := "/epcis/events?perPage=1000"; url != ""; {
		r := m.do(nil, "GET", url, seller, nil, 200)
		for _, e := range at(m.t, r.json(m.t), "epcisBody", "queryResults", "resultsBody", "eventList").([]any) {
			epc := at(m.t, e, "epcList", 0).(string)
			if seen[epc] {
				m.t.Fatalf("the event of %s is there twice", epc)
			}
			seen[epc] = true
		}
		next, rest, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Link"), "<"), ">")
		if url = ""; strings.Contains(rest, `rel="next"`) {
			url = next
		}
	}
	return len(seen)
}

func manyEvents(n int) string {
	var b strings.Builder
	b.WriteString(`{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],"type":"EPCISDocument","schemaVersion":"2.0",` +
		`"creationDate":"2026-03-01T00:00:00Z","epcisBody":{"eventList":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"ObjectEvent","action":"ADD","bizStep":"commissioning","eventTime":"2026-01-16T09:00:00+01:00","eventTimeZoneOffset":"+01:00",`+
			`"epcList":["https://id.gs1.org/01/%s/21/K%d"]}`, gtin, i)
	}
	b.WriteString("]}}")
	return b.String()
}

// A capture of 10,000 events is killed, under rollback while it plans and while it writes, and each time another process goes on, once the dead one's lease has
// run out: in the end the job, the events and the transparency log say the same, and nothing is left over. Until then a rollback shows nothing.
func TestACaptureIsKilled(t *testing.T) {
	t.Parallel()
	skipShort(t)
	const n = 10_000
	const third = float64(n) / 3
	for behaviour, points := range map[string][]float64{
		"rollback": {4 * third, 7 * third}, // of three times n: each event is checked, planned, written
		"proceed":  {1.5 * third},
	} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			m := startMortal(t, dir)
			seller := bearer(m.sellerKey("haikou-df", "-kind", "duty_free", "-grants", "690123456"))
			m.do(nil, "PUT", "/v1/products/"+gtin, seller, spirits, 201)
			sending := bearer(strings.TrimPrefix(seller["Authorization"], "Bearer "))
			sending["GS1-Capture-Error-Behaviour"] = behaviour
			document := manyEvents(n)
			capture := m.do(nil, "POST", "/epcis/capture", sending, document, 202).Header.Get("Location")
			job := "/v1/jobs/capture:" + strings.TrimPrefix(capture, "/epcis/capture/") + ":1"
			for _, p := range points {
				m.killAt(job, seller, p)
				state := m.do(nil, "GET", capture, seller, nil, 200).json(t)
				wantAt(t, state, true, "running")
				if behaviour == "rollback" && m.events(seller) != 0 {
					t.Fatalf("killed at %.0f, some events show: %v", p, state)
				}
			}
			wantAt(t, m.ended(job, seller), "success", "state")
			state := m.do(nil, "GET", capture, seller, nil, 200).json(t)
			wantAt(t, state, true, "success")
			if stored, known := at(t, state, "eventsStored").(float64), at(t, state, "eventsKnown").(float64); stored+known != float64(n) || at(t, state, "eventsDone") != float64(n) {
				t.Errorf("%v", state)
			}
			if got := m.events(seller); got != n {
				t.Errorf("%d events show", got)
			}
			m.within(time.Minute, "the log", func() bool {
				return at(t, m.do(nil, "GET", "/v1/ledger", nil, nil, 200).json(t), "size").(float64) >= float64(n)
			})
			if out, err := say(t, "verify", "-url", m.base); err != nil || !strings.Contains(out, fmt.Sprintf("in order: %d leaves", n)) {
				t.Errorf("verify: %q, %v", out, err)
			}
			again := m.do(nil, "POST", "/epcis/capture", sending, document, 202)
			wantAt(t, again.json(t), false, "running")
			if again.Header.Get("Location") != capture {
				t.Errorf("sent again it is %s, after %s", again.Header.Get("Location"), capture)
			}
			check(t, filepath.WalkDir(filepath.Join(dir, "blobs"), func(path string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					t.Errorf("%s is left over", path)
				}
				return err
			}))
		})
	}
}

// A job that issues 100,000 codes is killed half-way: it issues exactly those.
func TestAnIssueOfCodesIsKilled(t *testing.T) {
	t.Parallel()
	skipShort(t)
	const n = 100_000
	dir := t.TempDir()
	m := startMortal(t, dir)
	seller := bearer(m.sellerKey("haikou-df", "-kind", "duty_free", "-grants", "690123456"))
	m.do(nil, "PUT", "/v1/products/"+gtin, seller, spirits, 201)
	m.do(nil, "PUT", "/v1/products/"+gtin+"/lots/L1", seller, map[string]any{"produced": "2026-01-15", "expires": "2036-01-15"}, 201)
	job := m.do(nil, "POST", "/v1/products/"+gtin+"/lots/L1/codes", seller, map[string]any{"count": n}, 202).Header.Get("Location")
	m.killAt(job, seller, n/2)
	j := m.ended(job, seller)
	wantAt(t, j, "success", "state")
	wantAt(t, j, float64(n), "done")
	labels := m.do(nil, "GET", "/v1/codes/batches/"+at(t, j, "result", "batch").(string)+"/labels.csv", seller, nil, 200).body
	m.kill()
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(labels), "\uFEFF"))).ReadAll()
	check(t, err)
	units := map[string]bool{}
	for id := range storeContent(t, dir) {
		if unit, ok := strings.CutPrefix(id, "units "); ok {
			units[unit] = true
		}
	}
	if len(rows) != n+1 || len(units) != n {
		t.Fatalf("%d labels, %d units", len(rows)-1, len(units))
	}
	for _, row := range rows[1:] {
		if id := gtin + "/" + row[3]; !units[id] {
			t.Fatalf("the label %v has no unit %s", row, id)
		}
	}
}
