package check

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Remote reads a log over HTTP, as anyone can: the checkpoint, the tiles and the entries as C2SP tlog-tiles has them, and the public
// documents. A server that is busy is asked again when it says.
type Remote struct {
	base   string
	client *http.Client
}

// NewRemote makes a reader of the log of a server. base is its public address, without a path.
func NewRemote(base string, client *http.Client) *Remote {
	return &Remote{strings.TrimRight(base, "/"), client}
}

// MaxResponse is the longest answer that is read, in bytes.
const MaxResponse = 64 << 20

const (
	maxWait  = time.Minute // that a server may ask for
	maxAsked = 8           // times for one thing
)

// errAbsent says that the server has no such thing.
var errAbsent = errors.New("not found")

func (r *Remote) get(ctx context.Context, path string) ([]byte, error) {
	for try := 1; ; try++ {
		body, wait, err := r.ask(ctx, path)
		if err == nil || wait == 0 || try == maxAsked {
			return body, err
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		case <-t.C:
		}
	}
}

// ask sends one request. wait is how long to wait before the next try; 0: do not try.
func (r *Remote) ask(ctx context.Context, path string) (body []byte, wait time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+path, http.NoBody)
	if err != nil {
		return nil, 0, err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	body, err = io.ReadAll(io.LimitReader(resp.Body, MaxResponse+1))
	switch {
	case err != nil:
		return nil, 0, err
	case len(body) > MaxResponse:
		return nil, 0, fmt.Errorf("%s: more than %d bytes", path, MaxResponse)
	case resp.StatusCode == http.StatusOK:
		return body, 0, nil
	case resp.StatusCode == http.StatusNotFound:
		return nil, 0, fmt.Errorf("%s: %w", path, errAbsent)
	}
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
		wait = time.Second
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
			wait = min(max(time.Duration(s)*time.Second, wait), maxWait)
		}
	}
	return nil, wait, fmt.Errorf("%s: %s", path, resp.Status)
}

// Key gives the verifier key that the server says is its own. Whoever wants to be sure has it from elsewhere.
func (r *Remote) Key(ctx context.Context) (string, error) {
	body, err := r.get(ctx, "/v1/ledger")
	if err != nil {
		return "", err
	}
	var end struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal(body, &end); err != nil {
		return "", fmt.Errorf("/v1/ledger: %w", err)
	}
	return end.Key, nil
}

// Checkpoint implements Log.
func (r *Remote) Checkpoint(ctx context.Context) ([]byte, error) {
	return r.get(ctx, "/ledger/checkpoint")
}

// Tile implements Log.
func (r *Remote) Tile(ctx context.Context, level int, n int64, width int) ([]byte, error) {
	body, err := r.get(ctx, "/ledger/tile/"+strconv.Itoa(level)+"/"+tileNumber(n)+partial(width))
	if errors.Is(err, errAbsent) {
		return nil, &BrokenError{Index: -1, Reason: fmt.Sprintf("tile %d of level %d is missing", n, level)}
	}
	return body, err
}

// tileNumber writes 1234067 as x001/x234/067.
func tileNumber(n int64) string {
	text := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		text = fmt.Sprintf("x%03d/%s", n%1000, text)
	}
	return text
}

func partial(width int) string {
	if width == bundle {
		return ""
	}
	return ".p/" + strconv.Itoa(width)
}

// Leaves implements Log. Entries and documents come from two places, and have to fit.
func (r *Remote) Leaves(ctx context.Context, n int64, width int) ([]Leaf, error) {
	entries, err := r.entries(ctx, n, width)
	if err != nil {
		return nil, err
	}
	leaves := make([]Leaf, 0, width)
	for len(leaves) < width {
		from := n*bundle + int64(len(leaves))
		page, err := r.page(ctx, from, width-len(leaves))
		if errors.Is(err, errAbsent) || err == nil && len(page) == 0 {
			return leaves, &BrokenError{Index: from, Reason: "the leaf is missing"}
		}
		if err != nil {
			return nil, err
		}
		for _, l := range page[:min(len(page), width-len(leaves))] {
			l.Entry = entries[len(leaves)]
			leaves = append(leaves, l)
		}
	}
	return leaves, nil
}

func (r *Remote) entries(ctx context.Context, n int64, width int) ([][]byte, error) {
	body, err := r.get(ctx, "/ledger/tile/entries/"+tileNumber(n)+partial(width))
	if errors.Is(err, errAbsent) {
		return nil, &BrokenError{Index: n * bundle, Reason: "the bundle of entries is missing"}
	}
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for len(body) >= 2 {
		size := int(binary.BigEndian.Uint16(body))
		if size != sha256.Size || len(body) < 2+size {
			break
		}
		out, body = append(out, body[2:2+size]), body[2+size:]
	}
	if len(out) != width || len(body) > 0 {
		return nil, &BrokenError{Index: n*bundle + int64(len(out)), Reason: "the bundle of entries is not whole"}
	}
	return out, nil
}

func (r *Remote) page(ctx context.Context, from int64, limit int) ([]Leaf, error) {
	body, err := r.get(ctx, fmt.Sprintf("/v1/ledger/leaves?from=%d&limit=%d", from, limit))
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []struct {
			Index    int64   `json:"index"`
			Kind     string  `json:"kind"`
			Nonce    []byte  `json:"nonce"`
			Document *string `json:"document"`
		} `json:"items"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("the leaves from %d: %w", from, err)
	}
	out := make([]Leaf, len(list.Items))
	for i, it := range list.Items {
		out[i] = Leaf{Index: it.Index, Kind: it.Kind, Nonce: it.Nonce}
		if it.Document != nil {
			out[i].Document = []byte(*it.Document)
		}
	}
	return out, nil
}
