package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestTileNumbers(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct {
		level int
		n     int64
		width int
	}{
		"0/000": {0, 0, 256}, "3/067": {3, 67, 256}, "0/x001/234": {0, 1234, 256}, "entries/x001/x234/067": {-1, 1234067, 256},
		"7/000.p/1": {7, 0, 1}, "entries/x001/000.p/255": {-1, 1000, 255},
	} {
		level, n, width, ok := parseTile(path)
		if !ok || level != want.level || n != want.n || width != want.width {
			t.Errorf("%s: %d, %d, %d, %v", path, level, n, width, ok)
		}
	}
	for _, path := range []string{
		"", "0", "0/", "0/0", "0/0000", "8/000", "00/000", "-1/000", "a/000", "0/001/234", "0/x001", "0/x000/x001/002", "0/001.p/0", "0/001.p/256", "0/001.p/01",
		"0/001.p/", "0/+01", "0/x001/x001/x001/x001/x001/001", "entries/000.p/1/2", "0/000/", "0/x00/001",
	} {
		if _, n, _, ok := parseTile(path); ok {
			t.Errorf("%q is tile %d", path, n)
		}
	}
}

// A reader of tiles gets hashes and entries, as long as the tree has them, and nothing else gets anything.
func TestTilesOverHTTP(t *testing.T) {
	t.Parallel()
	b := setup(t)
	get := func(path string) *http.Response { // OpenAPI has no words for these paths
		t.Helper()
		resp, err := b.app.Test(request("GET", path, ""), -1)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	resp := get("/ledger/tile/0/000.p/2")
	if body := readBody(t, resp); resp.StatusCode != 200 || body != string(leafHash(0))+string(leafHash(1)) || resp.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	resp = get("/ledger/tile/entries/000.p/1")
	if body := readBody(t, resp); resp.StatusCode != 200 || body != "\x00\x20"+string(ledgerLeaves[0].Entry) {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	for path, code := range map[string]string{
		"/ledger/tile/0/000": "beyond_log", "/ledger/tile/0/001.p/1": "beyond_log", "/ledger/tile/0/1": "no_such_path", "/ledger/tile/0/000.p/2?a=b": "no_such_path",
	} {
		if resp := get(path); resp.StatusCode != 404 || readProblem(t, resp).Code != code {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

// A public leaf has nothing that is sealed; its owner's answer has it, and fits the hash in the public document.
func TestWhatIsSealedIsForItsOwner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{"/v1/ledger/leaves", "/v1/ledger/leaves/0", "/v1/ledger/leaves/1"} {
		resp := b.do(t, request("GET", path, "", "Authorization", asSeller))
		if body := readBody(t, resp); resp.StatusCode != 200 || strings.Contains(body, "received") || strings.Contains(body, "lin.mei") || strings.Contains(body, "salt") {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	resp := b.do(t, request("GET", "/v1/ledger/leaves/0/sealed", "", "Authorization", asSeller))
	var got struct {
		Salt   []byte `json:"salt"`
		Sealed string `json:"sealed"`
	}
	if err := json.Unmarshal([]byte(readBody(t, resp)), &got); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(append(got.Salt, got.Sealed...))
	if !strings.Contains(string(ledgerLeaves[0].Present), `"sealed":"`+hex.EncodeToString(sum[:])) {
		t.Errorf("%+v does not fit the leaf", got)
	}
	// A warning's names of officers are no firm's business.
	resp = b.do(t, request("GET", "/v1/ledger/leaves/1/sealed", "", "Authorization", asSeller))
	if resp.StatusCode != 404 || readProblem(t, resp).Code != "not_found" {
		t.Errorf("a seller reads what is behind a warning: %d", resp.StatusCode)
	}
	if resp := b.do(t, request("GET", "/v1/ledger/leaves/1/sealed", "", "Authorization", "Bearer "+auditorToken)); resp.StatusCode != 200 {
		t.Errorf("an auditor does not: %d", resp.StatusCode)
	}
}
