// Package fcmtest is a fake of Firebase Cloud Messaging's HTTP v1 API, for tests and benchmarks of clients that are real.
//
// It answers `POST /v1/projects/{project}/messages:send` as FCM does, checks messages as FCM does, remembers all it accepted,
// and can be told, token by token, to fail in every way that FCM, a proxy or a network can. It speaks HTTP/1.1, or HTTP/2 over
// TLS, and has a token server beside it, so that a service account's whole way through OAuth can be walked.
package fcmtest

import (
	"cmp"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how the fake is reached and what it demands. The zero value is plain HTTP/1.1 without authorization.
type Options struct {
	Project   string // the one project that exists; "haisu-test" if empty
	TLS       bool   // HTTPS, with HTTP/2
	HTTP1     bool   // with TLS: HTTP/1.1 only
	Authorize bool   // demand an access token from the fake's own token server
	Streams   int    // with TLS: requests at a time on one connection; 100 if zero, as FCM allows
}

// DefaultProject is the project's ID if Options names none.
const DefaultProject = "haisu-test"

// Accepted is a message that the fake took.
type Accepted struct {
	MessageID string
	Token     string
	Message   json.RawMessage // as it came
	At        time.Time
}

// Server is a running fake. Its methods are safe for concurrent use.
type Server struct {
	URL     string // scheme and host; what FCM_ENDPOINT is set to
	Project string

	http        *httptest.Server
	auth        *tokenServer // nil without Options.Authorize
	connections atomic.Int64
	requests    atomic.Int64
	serial      atomic.Int64

	mu       sync.Mutex
	scripts  map[string][]Reply
	fallback Reply
	posts    map[string]int
	accepted []Accepted
}

// New starts a fake on a free port of the loopback address. Close stops it.
func New(o Options) (*Server, error) {
	s := &Server{
		Project: o.Project, fallback: Accept(),
		scripts: map[string][]Reply{}, posts: map[string]int{},
	}
	if s.Project == "" {
		s.Project = DefaultProject
	}
	if o.Authorize {
		auth, err := newTokenServer(s.Project)
		if err != nil {
			return nil, fmt.Errorf("fcmtest: %w", err)
		}
		s.auth = auth
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/projects/{project}/{method}", s.send)
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		write(w, NotFound(), "")
	})
	s.http = httptest.NewUnstartedServer(mux)
	s.http.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0) // broken connections are this server's trade
	if o.TLS {
		s.http.EnableHTTP2 = !o.HTTP1
		s.http.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: cmp.Or(o.Streams, 100)}
		s.http.StartTLS()
	} else {
		s.http.Start()
	}
	s.URL = s.http.URL
	return s, nil
}

// Close drops every connection and stops.
func (s *Server) Close() {
	s.http.CloseClientConnections()
	s.http.Close()
}

// RootCAs trusts the fake's certificate; nil without TLS.
func (s *Server) RootCAs() *x509.CertPool {
	if s.http.Certificate() == nil {
		return nil
	}
	p := x509.NewCertPool()
	p.AddCert(s.http.Certificate())
	return p
}

// Script sets the answers for a token, one for each POST in order; the last is repeated. It replaces an earlier script.
func (s *Server) Script(token string, replies ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts[token] = replies
}

// ScriptAll sets the answer for every token without a script, instead of acceptance.
func (s *Server) ScriptAll(r Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fallback = r
}

// Accepted lists what was taken, in order.
func (s *Server) Accepted() []Accepted {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.accepted)
}

// Posts counts the requests that named a token, whatever came of them.
func (s *Server) Posts(token string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.posts[token]
}

// Requests counts all requests to the send method.
func (s *Server) Requests() int { return int(s.requests.Load()) }

// Connections counts the connections that were ever opened.
func (s *Server) Connections() int { return int(s.connections.Load()) }

// send is the messages:send method.
func (s *Server) send(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return // the client went away
	}
	switch {
	case r.PathValue("method") != "messages:send" || r.PathValue("project") != s.Project:
		write(w, NotFound(), "")
		return
	case s.auth != nil && !s.auth.knows(r.Header.Get("Authorization")):
		write(w, Unauthenticated(), "")
		return
	}
	token, message, refusal := check(body)
	reply := s.next(token)
	if refusal != nil {
		reply = *refusal
	}
	if !reply.wait(r.Context()) {
		return
	}
	if reply.Drop == BeforeAccepting {
		panic(http.ErrAbortHandler) // net/http's way to break the connection
	}
	id := ""
	if reply.accepts() {
		id = s.accept(token, message)
	}
	if reply.Drop == AfterAccepting {
		panic(http.ErrAbortHandler)
	}
	write(w, reply, id)
}

// next takes the token's next reply from its script.
func (s *Server) next(token string) Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts[token]++
	script := s.scripts[token]
	if len(script) == 0 {
		return s.fallback
	}
	if len(script) > 1 {
		s.scripts[token] = script[1:]
	}
	return script[0]
}

func (s *Server) accept(token string, message json.RawMessage) string {
	id := "projects/" + s.Project + "/messages/0:" + strconv.FormatInt(s.serial.Add(1), 10)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted = append(s.accepted, Accepted{MessageID: id, Token: token, Message: message, At: time.Now()})
	return id
}

// write answers. A reply without a body of its own is an acceptance.
func write(w http.ResponseWriter, r Reply, id string) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	if r.RetryAfter != "" {
		w.Header().Set("Retry-After", r.RetryAfter)
	}
	body := r.Body
	if r.accepts() && body == "" {
		body = `{"name":"` + id + `"}`
	}
	w.WriteHeader(r.Status)
	_, _ = io.WriteString(w, body) // fails only when the client has gone
}
