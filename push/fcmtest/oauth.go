package fcmtest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	grantType      = "urn:ietf:params:oauth:grant-type:jwt-bearer" // RFC 7523
	messagingScope = "https://www.googleapis.com/auth/firebase.messaging"
)

// tokenServer gives access tokens to one service account.
type tokenServer struct {
	key    *rsa.PrivateKey
	email  string
	grants atomic.Int64

	mu     sync.Mutex
	issued map[string]bool
	refuse *Reply
}

func newTokenServer(project string) (*tokenServer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	return &tokenServer{
		key: key, email: "sender@" + project + ".iam.gserviceaccount.com", issued: map[string]bool{},
	}, nil
}

// ServiceAccount is a key file for the fake's one account, as GOOGLE_APPLICATION_CREDENTIALS names it. It needs
// Options.Authorize.
func (s *Server) ServiceAccount() ([]byte, error) {
	if s.auth == nil {
		return nil, errors.New("fcmtest: the fake was started without Authorize")
	}
	der, err := x509.MarshalPKCS8PrivateKey(s.auth.key)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]string{
		"type":           "service_account",
		"project_id":     s.Project,
		"private_key_id": "fake",
		"private_key":    string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email":   s.auth.email,
		"client_id":      "1",
		"token_uri":      s.URL + "/token",
	})
}

// Grants counts the access tokens given.
func (s *Server) Grants() int {
	if s.auth == nil {
		return 0
	}
	return int(s.auth.grants.Load())
}

// RefuseTokens makes the token server answer so from now on.
func (s *Server) RefuseTokens(r Reply) {
	if s.auth == nil {
		return
	}
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	s.auth.refuse = &r
}

// Revoke forgets every access token given so far.
func (s *Server) Revoke() {
	if s.auth == nil {
		return
	}
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	clear(s.auth.issued)
}

// knows reports whether an Authorization header holds a token given here.
func (t *tokenServer) knows(header string) bool {
	token, ok := strings.CutPrefix(header, "Bearer ")
	t.mu.Lock()
	defer t.mu.Unlock()
	return ok && t.issued[token]
}

// token is the token endpoint.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if s.auth == nil {
		write(w, NotFound(), "")
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		return // the client went away
	}
	write(w, s.auth.grant(string(body), s.URL+"/token"), "")
}

// grant answers a request for a token.
func (t *tokenServer) grant(body, audience string) Reply {
	form, err := url.ParseQuery(body)
	if err != nil || form.Get("grant_type") != grantType {
		return Raw(http.StatusBadRequest, `{"error":"unsupported_grant_type"}`)
	}
	t.mu.Lock()
	refuse := t.refuse
	t.mu.Unlock()
	if refuse != nil {
		return *refuse
	}
	if err := t.verify(form.Get("assertion"), audience, time.Now()); err != nil {
		return Raw(http.StatusBadRequest, `{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`)
	}
	token := rand.Text()
	t.mu.Lock()
	t.issued[token] = true
	t.mu.Unlock()
	t.grants.Add(1)
	return Raw(http.StatusOK, `{"access_token":"`+token+`","expires_in":3599,"token_type":"Bearer"}`)
}

// verify checks a signed assertion: RS256 by the account's key, for this server, this scope and this time.
func (t *tokenServer) verify(assertion, audience string, now time.Time) error {
	signed, signature, ok := cutLast(assertion, ".")
	_, claimPart, ok2 := strings.Cut(signed, ".")
	if !ok || !ok2 {
		return errors.New("not a JWT")
	}
	sig, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(signed))
	if err := rsa.VerifyPKCS1v15(&t.key.PublicKey, crypto.SHA256, sum[:], sig); err != nil {
		return err
	}
	raw, err := base64.RawURLEncoding.DecodeString(claimPart)
	if err != nil {
		return err
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
		Scope    string `json:"scope"`
		Expires  int64  `json:"exp"`
	}
	if err := json.Unmarshal(raw, &claims); err != nil {
		return err
	}
	if claims.Issuer != t.email || claims.Audience != audience || claims.Scope != messagingScope || claims.Expires < now.Unix() {
		return errors.New("claims do not fit")
	}
	return nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
