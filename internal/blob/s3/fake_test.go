package s3

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fake is a server as the Amazon S3 API reference describes it, for one bucket in path style: PutObject with checksum and condition, GetObject,
// HeadObject, DeleteObject, ListObjectsV2.
type fake struct {
	mu       sync.Mutex
	objects  map[string]object
	requests []string
	fail     func(r *http.Request) (status int, code string) // nil, or 0: do not
	now      func() time.Time
}

type object struct {
	data []byte
	put  time.Time
}

const bucket = "haisu-test"

func (f *fake) error(w http.ResponseWriter, r *http.Request, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message><RequestId>1</RequestId></Error>", code)
	}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, r.Method+" "+r.URL.Path)
	if f.fail != nil {
		if status, code := f.fail(r); status != 0 {
			f.error(w, r, status, code)
			return
		}
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/"+bucket+"/")
	switch auth := r.Header.Get("Authorization"); {
	case !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=key/") || !strings.Contains(auth, "/cn-south-1/s3/aws4_request"):
		f.error(w, r, 403, "SignatureDoesNotMatch")
	case !ok:
		f.error(w, r, 404, "NoSuchBucket")
	case path == "" && r.Method == http.MethodGet && r.URL.Query().Get("list-type") == "2":
		f.list(w, r)
	case r.Method == http.MethodPut:
		f.put(w, r, path, body)
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		f.get(w, r, path)
	case r.Method == http.MethodDelete:
		delete(f.objects, path)
		w.WriteHeader(204)
	default:
		f.error(w, r, 405, "MethodNotAllowed")
	}
}

func sum(data []byte) string {
	h := sha256.Sum256(data)
	return base64.StdEncoding.EncodeToString(h[:])
}

func (f *fake) put(w http.ResponseWriter, r *http.Request, key string, body []byte) {
	if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		body = unchunk(body)
		if strconv.Itoa(len(body)) != r.Header.Get("X-Amz-Decoded-Content-Length") {
			f.error(w, r, 400, "IncompleteBody")
			return
		}
	}
	if _, there := f.objects[key]; there && r.Header.Get("If-None-Match") == "*" {
		f.error(w, r, 412, "PreconditionFailed")
		return
	}
	if got := r.Header.Get("X-Amz-Checksum-Sha256"); got != sum(body) {
		f.error(w, r, 400, "BadDigest")
		return
	}
	f.objects[key] = object{body, f.now()}
	w.Header().Set("ETag", `"1"`)
}

// unchunk reads the encoding aws-chunked: size;chunk-signature=…, bytes, and so on up to a chunk of no bytes.
func unchunk(body []byte) []byte {
	var out []byte
	for {
		line, rest, ok := bytes.Cut(body, []byte("\r\n"))
		size, _, _ := strings.Cut(string(line), ";")
		n, err := strconv.ParseInt(size, 16, 64)
		if !ok || err != nil || int64(len(rest)) < n || n == 0 {
			return out
		}
		out = append(out, rest[:n]...)
		body = bytes.TrimPrefix(rest[n:], []byte("\r\n"))
	}
}

func (f *fake) get(w http.ResponseWriter, r *http.Request, key string) {
	o, ok := f.objects[key]
	if !ok {
		f.error(w, r, 404, "NoSuchKey")
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(o.data)))
	w.Header().Set("Last-Modified", o.put.UTC().Format(http.TimeFormat))
	w.Header().Set("ETag", `"1"`)
	if r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" {
		w.Header().Set("X-Amz-Checksum-Sha256", sum(o.data))
	}
	if r.Method == http.MethodGet {
		_, _ = w.Write(o.data)
	}
}

type listed struct {
	Key          string `xml:"Key"`
	LastModified string `xml:"LastModified"`
	ETag         string `xml:"ETag"`
	Size         int    `xml:"Size"`
}

func (f *fake) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("max-keys"))
	if err != nil {
		limit = 1000
	}
	after := max(q.Get("start-after"), q.Get("continuation-token"))
	var keys []string
	for k := range f.objects {
		if strings.HasPrefix(k, q.Get("prefix")) && k > after {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	out := struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		IsTruncated           bool     `xml:"IsTruncated"`
		NextContinuationToken string   `xml:"NextContinuationToken"`
		Contents              []listed `xml:"Contents"`
	}{}
	if len(keys) > limit {
		keys = keys[:limit]
		out.IsTruncated, out.NextContinuationToken = true, keys[limit-1]
	}
	for _, k := range keys {
		o := f.objects[k]
		out.Contents = append(out.Contents, listed{k, o.put.UTC().Format(time.RFC3339), `"1"`, len(o.data)})
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(out)
}
