package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/blob/blobtest"
	"github.com/haisu-trace/haisu/internal/fault"
)

var doc = blob.Space{Purpose: "documents", Record: "d1"}

func setup(t *testing.T, plain bool) (*Store, *fake) {
	t.Helper()
	f := &fake{objects: map[string]object{}, now: time.Now}
	server := httptest.NewUnstartedServer(f)
	if plain {
		server.Start()
	} else {
		server.StartTLS()
	}
	t.Cleanup(server.Close)
	_, host, _ := strings.Cut(server.URL, "://")
	s, err := Open(Config{
		Endpoint: host, Plain: plain, Region: "cn-south-1", Bucket: bucket, AccessKey: "key", SecretKey: "secret", Temp: t.TempDir(), Now: time.Now,
		Transport: server.Client().Transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, f
}

func TestStore(t *testing.T) {
	t.Parallel()
	for name, plain := range map[string]bool{"https": false, "http": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			blobtest.Run(t, func(t *testing.T) blobtest.Engine {
				s, f := setup(t, plain)
				return blobtest.Engine{
					Store: s,
					Damage: func(key string, data []byte) {
						f.mu.Lock()
						defer f.mu.Unlock()
						f.objects[key] = object{data, time.Now()}
					},
					Clean: func() error {
						f.mu.Lock()
						defer f.mu.Unlock()
						if len(f.objects) != 0 {
							return fmt.Errorf("there are %d objects", len(f.objects))
						}
						return nil
					},
				}
			})
		})
	}
}

func (f *fake) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.requests
	f.requests = nil
	for i, r := range out {
		out[i], _, _ = strings.Cut(r, " ")
	}
	return out
}

func TestPutAgain(t *testing.T) {
	t.Parallel()
	s, f := setup(t, false)
	put := func(want ...string) {
		t.Helper()
		if _, err := s.Put(t.Context(), doc, strings.NewReader("x"), 10); err != nil {
			t.Fatal(err)
		}
		if got := f.take(); !slices.Equal(got, want) {
			t.Errorf("a Put asks %v, want %v", got, want)
		}
	}
	put("PUT")
	put("PUT", "HEAD")
	s.now = func() time.Time { return time.Now().Add(freshFor) } // it is old, and might be swept
	put("PUT", "HEAD", "PUT")
}

func TestWhatTheServerAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		code   string
		times  int // how often it is so
		ok     bool
	}{
		"busy once":  {503, "SlowDown", 1, true},
		"busy":       {503, "SlowDown", 100, false},
		"no rights":  {403, "AccessDenied", 100, false},
		"no bucket":  {404, "NoSuchBucket", 100, false},
		"bad digest": {400, "BadDigest", 100, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, f := setup(t, false)
			left := c.times
			f.fail = func(*http.Request) (int, string) {
				if left--; left < 0 {
					return 0, ""
				}
				return c.status, c.code
			}
			ref, err := s.Put(t.Context(), doc, strings.NewReader("x"), 10)
			if c.ok != (err == nil) || !c.ok && fault.KindOf(err) != fault.Unavailable {
				t.Fatalf("Put gives %v", err)
			}
			if n := len(f.take()); n > tries {
				t.Errorf("%d requests for one Put", n)
			}
			if c.ok {
				return
			}
			ref = blob.Ref{Space: doc, Hash: strings.Repeat("0", 64), Size: ref.Size}
			if _, err := s.Open(t.Context(), ref); fault.KindOf(err) != fault.Unavailable || errors.Is(err, blob.ErrNotFound) {
				t.Errorf("Open gives %v", err)
			}
			if err := s.Delete(t.Context(), ref); fault.KindOf(err) != fault.Unavailable {
				t.Errorf("Delete gives %v", err)
			}
			if err := s.Check(t.Context()); fault.KindOf(err) != fault.Unavailable {
				t.Errorf("Check gives %v", err)
			}
		})
	}
}

func TestRequestsGoToTheEndpointAlone(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request went elsewhere") }))
	t.Cleanup(elsewhere.Close)
	moved := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	server := httptest.NewServer(moved)
	t.Cleanup(server.Close)
	s, err := Open(Config{
		Endpoint: strings.TrimPrefix(server.URL, "http://"), Plain: true, Region: "cn-south-1", Bucket: bucket, AccessKey: "key", SecretKey: "secret", Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a redirect gives %v", err)
	}
}

func TestACancelledRequestEnds(t *testing.T) {
	t.Parallel()
	s, f := setup(t, false)
	ctx, cancel := context.WithCancel(t.Context())
	f.fail = func(*http.Request) (int, string) { cancel(); return 503, "SlowDown" }
	if _, err := s.Put(ctx, doc, strings.NewReader("x"), 10); !errors.Is(err, context.Canceled) {
		t.Errorf("Put gives %v", err)
	}
}
