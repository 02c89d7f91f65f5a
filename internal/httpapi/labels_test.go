package httpapi

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/csv"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/job"
	"github.com/haisu-trace/haisu/internal/trace"
)

const batchPath = "/v1/codes/batches/3f7k2m9q4t6v8x0z1b5c7d9f2g"

func TestLabelsAreHandedOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct{ path, media, begins string }{
		{"/labels.pdf?from=25", "application/pdf", "%PDF-1.7\n"},
		{"/labels.svg.zip?from=25", "application/zip", "PK"},
		{"/labels.png.zip?from=25&size=128", "application/zip", "PK"},
		{"/labels.csv?from=25", "text/csv; charset=utf-8", "\uFEFFnumber,"},
	} {
		resp := b.do(t, request("GET", batchPath+c.path, "", "Authorization", asSeller))
		body := readBody(t, resp)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != c.media || !strings.HasPrefix(body, c.begins) {
			t.Errorf("%s: %d %s %.80q", c.path, resp.StatusCode, resp.Header.Get("Content-Type"), body)
		}
		if d := resp.Header.Get("Content-Disposition"); !strings.HasPrefix(d, `attachment; filename="labels-3f7k2m9q4t6v8x0z1b5c7d9f2g-25-30`) {
			t.Errorf("%s: %s", c.path, d)
		}
	}
	if p := b.fakes.prints; len(p) != 4 || p[0].Format != "pdf" || p[0].By != "seller:cdf-haikou/7k2m9q4t" || p[3].Span != (trace.Span{First: 25, Last: 30}) {
		t.Errorf("recorded %+v", p)
	}
}

// A void unit has no label, and the others keep their positions.
func TestVoidUnitsHaveNoLabels(t *testing.T) {
	t.Parallel()
	b := setup(t)
	resp := b.do(t, request("GET", batchPath+"/labels.csv?from=2&count=3", "", "Authorization", asSeller, "Haisu-Reason", "%E6%9D%BF"))
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(readBody(t, resp), "\uFEFF"))).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][0] != "2" || rows[2][0] != "4" {
		t.Fatalf("%v, %v", rows, err)
	}
	if want := "https://haisu.example/01/06901234567892/10/L24A1/21/7K2M9Q4T6V8X0Z04"; rows[2][4] != want || rows[2][6] != "婴儿配方奶粉 1 段" {
		t.Errorf("%v, want %s", rows[2], want)
	}
	if p := b.fakes.prints; len(p) != 1 || !p[0].Again || p[0].Reason != "板" {
		t.Errorf("recorded %+v", p)
	}
	if e := b.fakes.trail.entries; len(e) != 1 || e[0].Action != "getLabelsCsv" || e[0].Why != "板" || !strings.HasPrefix(e[0].Subject, "code/3f7k2m9q") {
		t.Errorf("the trail has %+v", e)
	}
}

func TestLabelRefusals(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]refusal{
		"/labels.pdf":                           {409, "reprint_reason"},
		"/labels.pdf?from=25&grid=9x9":          {400, "label_geometry"},
		"/labels.pdf?from=25&label=63.5":        {400, "invalid_parameter"},
		"/labels.pdf?from=25&symbol=9":          {400, "label_symbol_small"},
		"/labels.pdf?from=25&page=9999x9999":    {400, "label_geometry"},
		"/labels.pdf?from=25&gap=0x0&cutt=true": {400, "invalid_parameter"},
		"/labels.png.zip?from=25&size=63":       {400, "invalid_parameter"},
		"/labels.csv?from=0":                    {400, "invalid_parameter"},
		"/labels.svg.zip?count=20001":           {400, "labels_too_many"},
		"/labels.gif":                           {404, "no_such_path"},
	} {
		b := setup(t)
		resp := b.do(t, request("GET", batchPath+path, "", "Authorization", asSeller))
		if p := readProblem(t, resp); resp.StatusCode != want.status || p.Code != want.code {
			t.Errorf("%s: %d %+v, want %v", path, resp.StatusCode, p, want)
		}
		if len(b.fakes.prints) != 0 {
			t.Errorf("%s: recorded as printed", path)
		}
	}
	b := setup(t)
	if resp := b.do(t, request("HEAD", batchPath+"/labels.pdf?from=25", "", "Authorization", asSeller)); resp.StatusCode != 200 || len(b.fakes.prints) != 0 {
		t.Errorf("HEAD: %d, recorded %+v", resp.StatusCode, b.fakes.prints)
	}
}

// What breaks on the way does not end like what is complete.
func TestBrokenLabelsAreNoLabels(t *testing.T) {
	t.Parallel()
	addr, b := listen(t)
	f, url := b.fakes, "http://"+addr
	f.set(func(f *fakes) { f.broken = 28 })
	if resp, err := download(t, url+batchPath+"/labels.csv?from=25"); err == nil {
		if body, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("%d: %d bytes came to a good end", resp.StatusCode, len(body))
		}
	}
	f.set(func(f *fakes) { f.broken = 0 })
	// Both places to make labels are free again.
	for range printsAtOnce + 1 {
		resp, err := download(t, url+batchPath+"/labels.svg.zip?from=25")
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%v, %v", resp, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if z, err := zip.NewReader(bytes.NewReader(body), int64(len(body))); err != nil || len(z.File) != 6 {
			t.Errorf("%v", err)
		}
	}
}

func download(t *testing.T, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", asSeller)
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		t.Cleanup(func() { _ = resp.Body.Close() }) // only read
	}
	return resp, err
}

// A connection whose client takes what it is sent, part for part, may take long; one whose client takes nothing may not.
func TestLastingAnswers(t *testing.T) {
	t.Parallel()
	most := DefaultConnections()
	most.Write = 50 * time.Millisecond
	table := newConnTable(most, nil, time.Now)
	client, server := net.Pipe()
	defer func() { _ = client.Close() }() // the other end is closed below
	c := &guardedConn{Conn: server, table: table}
	c.heard.Store(true)
	lasting(c, time.Now().Add(time.Hour))
	read := make(chan error, 1)
	go func() {
		_, err := bufio.NewReader(client).Discard(3)
		read <- err
	}()
	if err := c.SetWriteDeadline(time.Now().Add(-time.Second)); err != nil { // the time for a common answer is over
		t.Fatal(err)
	}
	for range 3 {
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatalf("a client that reads: %v", err)
		}
	}
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(make([]byte, 1<<20)); err == nil {
		t.Error("a client that reads nothing was waited for")
	}
	working(c)
	if c.lasts.Load() != 0 {
		t.Error("the next answer lasts, too")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// More than MaxCodes codes are a job, whose name follows from the batch.
func TestManyCodesAreAJob(t *testing.T) {
	t.Parallel()
	b := setup(t)
	resp := b.do(t, request("POST", "/v1/products/06901234567892/lots/L24A1/codes", `{"count":10001}`, "Authorization", asSeller, "Idempotency-Key", "0123456789"))
	if resp.StatusCode != http.StatusAccepted || resp.Header.Get("Location") != "/v1/jobs/issue.3f7k2m9q4t6v8x0z1b5c7d9f2g" {
		t.Fatalf("%d %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	n := b.fakes.enqueued
	if len(n) != 1 || n[0].Kind != trace.IssueJob || n[0].Owner != job.Firm(seller.ID, "") || n[0].Input != (trace.IssueOrder{Batch: batch.ID}) {
		t.Errorf("asked for %+v", n)
	}
	if resp := b.do(t, request("POST", "/v1/products/06901234567892/lots/L24A1/codes", `{"count":1000001}`, "Authorization", asSeller)); resp.StatusCode != 422 {
		t.Errorf("a million and one: %d", resp.StatusCode)
	}
}

// Jobs are those of the caller's firm, test tenant or authority.
func TestJobsHaveOwners(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, as := range []string{asSeller, "Bearer " + testToken, "Bearer " + officerToken} {
		if resp := b.do(t, request("GET", "/v1/jobs", "", "Authorization", as)); resp.StatusCode != 200 {
			t.Errorf("%s: %d", as, resp.StatusCode)
		}
	}
	want := []job.Owner{job.Firm(seller.ID, ""), job.Firm(testPrincipal.Firm, testPrincipal.Firm), job.Authority(officerPrincipal.Authority)}
	for i, o := range b.fakes.owners {
		if o != want[i] {
			t.Errorf("asked for the jobs of %+v, want %+v", o, want[i])
		}
	}
	if len(b.fakes.owners) != len(want) {
		t.Errorf("%+v", b.fakes.owners)
	}
}

// A firm that takes its labels slowly keeps no other firm from theirs.
func TestAFirmHasOnePlaceForLabels(t *testing.T) {
	t.Parallel()
	p := newPlaces(2)
	if !p.take("a") || p.take("a") || !p.take("b") || p.take("c") {
		t.Error("a firm has two places, or there are three")
	}
	p.give("a")
	if p.take("b") || !p.take("c") {
		t.Error("a place that was given back is not there, or goes to whoever has one")
	}
}
