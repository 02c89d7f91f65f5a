package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/httpapi/contracttest"
)

// listen serves a server on a real listener.
func listen(t testing.TB, change ...func(*Deps)) (addr string, b *bundle) {
	t.Helper()
	b = setup(t, change...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- b.app.Listener(ln) }()
	t.Cleanup(func() {
		if err := b.app.ShutdownWithTimeout(5 * time.Second); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return ln.Addr().String(), b
}

func get(t testing.TB, url string) *http.Response {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// Too much is refused by a real listener, which app.Test does not have.
func TestOversizeRequests(t *testing.T) {
	t.Parallel()
	addr, _ := listen(t)
	tests := []struct {
		name, request string
		status        int
		code          string
	}{
		{"over the limit of the operation", post("/v1/sessions", "", 64<<10+1, true), 413, "body_too_large"},
		{"over every limit, announced", post("/epcis/capture", asSeller, 70<<20, false), 413, "body_too_large"},
		{"large and announced by nobody", post("/epcis/capture", "", 4<<20, false), 413, "body_too_large"},
		{"large and announced with a key that ended", post("/epcis/capture", "Bearer hk_gone_0123456789", 4<<20, false) + strings.Repeat(" ", prefetched), 401, "unauthenticated"},
		{"large and announced by a device", post("/epcis/capture", asDevice, 4<<20, false) + strings.Repeat(" ", prefetched), 403, "wrong_credentials"},
		{"large and allowed", post("/epcis/capture", asSeller, 1<<20, true), 202, ""}, // it is kept, and read by a job
		{"as large as it may be at once", post("/epcis/capture", asSeller, maxWholeBody, true), 400, "json_syntax"},
		{"compressed in a second header", "POST /epcis/capture HTTP/1.1\r\nHost: x\r\nAuthorization: " + asSeller + "\r\nContent-Type: application/json\r\n" +
			"Content-Encoding: identity\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 415, "content_encoding"},
		{"two lengths", "POST /v1/devices HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400, "malformed"},
		{"a length and chunks", "POST /v1/devices HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "malformed"},
		{"a coding that is none", "POST /v1/devices HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, "malformed"},
		{"two hosts", "GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, "malformed"},
		{"no host", "GET /healthz HTTP/1.1\r\n\r\n", 400, "malformed"},
		{"200 MB, announced", post("/epcis/capture", asSeller, 200<<20, false), 413, "body_too_large"},
		{"header", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Big: " + strings.Repeat("a", maxHeader) + "\r\n\r\n", 431, "header_too_large"},
		{"no HTTP method", "BREW /01/06901234567892 HTTP/1.1\r\nHost: x\r\n\r\n", 501, "method_unknown"},
		{"no HTTP", "\x16\x03\x01\x02\r\n\r\n", 400, "malformed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, tt.request); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			contracttest.Check(t, request("POST", "/epcis/capture", ""), resp)
			if p := readProblem(t, resp); resp.StatusCode != tt.status || p.Code != tt.code {
				t.Errorf("%d %+v", resp.StatusCode, p)
			}
		})
	}
}

// post writes a request with a body of size bytes, or only with its announcement.
func post(path, authorization string, size int, send bool) string {
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, authorization, size)
	if !send {
		return head
	}
	return head + strings.Repeat(" ", size)
}

// Fiber uses the memory of a request again. What handlers keep must not change with it.
func TestKeptStringsSurviveTheirRequest(t *testing.T) {
	t.Parallel()
	addr, b := listen(t)
	var want []string
	for i := range 50 {
		lot := fmt.Sprintf("LOT-%04d-%s", i, strings.Repeat(string(rune('A'+i%26)), 8))
		want = append(want, lot)
		resp := get(t, "http://"+addr+"/v1/products/06901234567892/lots/"+lot)
		if body := readBody(t, resp); !strings.Contains(body, lot) {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
	}
	if !slices.Equal(b.fakes.lots, want) {
		t.Errorf("kept %q", b.fakes.lots)
	}
	for i := range 50 {
		place := fmt.Sprintf("shop-%04d", i)
		get(t, "http://"+addr+"/01/06901234567892/21/"+place+"?place="+place)
	}
	for i, s := range b.fakes.scans {
		if want := fmt.Sprintf("shop-%04d", i); s.Place != want || s.Ref.Serial != want {
			t.Fatalf("scan %d keeps %q and %q", i, s.Place, s.Ref.Serial)
		}
	}
}

// What a client writes in place of a method is not copied into the log, and nobody is woken for it.
func TestUnknownMethodInTheLog(t *testing.T) {
	t.Parallel()
	addr, b := listen(t)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "TS-20260302-K7M2QPX / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if log := b.log.String(); strings.Contains(log, "K7M2QPX") || strings.Contains(log, "ERROR") || !strings.Contains(log, `"method":"unknown"`) {
		t.Error(log)
	}
}
