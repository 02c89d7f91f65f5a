package httpapi

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/trace"
)

// scanOperations by the level of the code, for metrics and logs.
var scanOperations = map[gs1.Level]string{gs1.Product: "scanProduct", gs1.Lot: "scanLot", gs1.Unit: "scanUnit"}

const (
	// visitorCookie tells a browser's own second scan from a stranger's. It is random and means nothing elsewhere.
	visitorCookie = "hv"
	maxCity       = 64                   // characters
	visitorTerm   = 400 * 24 * time.Hour // what browsers keep a cookie at most
)

// scan answers /01/…, to a browser with a page and to everything else in JSON. It does without the general checks for speed.
func (s *server) scan(c *fiber.Ctx) error {
	k := callOf(c)
	k.operation = scanOperations[gs1.Product]
	var v visit
	defer v.leave()
	if err := s.enter(c.UserContext(), c, s.guard.classes.scan, costScan, &v); err != nil {
		return err
	}
	ref, err := gs1.ParsePath(c.Path())
	if err != nil {
		return err
	}
	k.operation = scanOperations[ref.Level()]
	if ref.Lot != "" && ref.Serial != "" {
		k.operation = "scanUnitOfLot"
	}
	if linkType, set := wanted(c); set || linkType != "" {
		return s.resolveLink(c, k, ref, linkType)
	}
	html, err := s.negotiate(c)
	if err != nil {
		return err
	}
	req, err := s.scanRequest(c, k)
	if err != nil {
		return err
	}
	req.Ref = ref
	c.Set(fiber.HeaderLink, s.linkHeader(ref))
	a, err := s.tenant(k).Scanner.Scan(c.UserContext(), req)
	if err != nil {
		return err
	}
	return s.answer(c, a, html)
}

// resolve answers /v1/resolve?code=, always in JSON.
func (s *server) resolve(c *fiber.Ctx) error {
	k := callOf(c)
	req, err := s.scanRequest(c, k)
	if err != nil {
		return err
	}
	a, err := s.tenant(k).Scanner.Resolve(c.UserContext(), c.Query("code"), req)
	if err != nil {
		return err
	}
	return s.answer(c, a, false)
}

// resolvePage answers /resolve?code=, the form on the pages, with a page.
func (s *server) resolvePage(c *fiber.Ctx) error {
	k := callOf(c)
	k.operation = opPage
	var v visit
	defer v.leave()
	if err := s.enter(c.UserContext(), c, s.guard.classes.scan, costScan, &v); err != nil {
		return err
	}
	req, err := s.scanRequest(c, k)
	if err != nil {
		return err
	}
	a, err := s.tenant(k).Scanner.Resolve(c.UserContext(), c.Query("code"), req)
	if err != nil {
		return err
	}
	return s.answer(c, a, true)
}

// answers are buffers to encode answers in: a third of what a scan would else allocate.
var answers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

func (s *server) answer(c *fiber.Ctx, a *trace.Answer, html bool) error {
	c.Set(fiber.HeaderVary, "Accept, Accept-Language")
	c.Set(fiber.HeaderContentLanguage, a.Lang)
	if !html {
		buf, _ := answers.Get().(*[]byte)
		defer answers.Put(buf)
		var err error
		if *buf, err = a.AppendJSON((*buf)[:0]); err != nil {
			return err
		}
		c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		c.Response().SetBody(*buf) // a copy into memory that the server pools
		return nil
	}
	c.Set(fiber.HeaderContentSecurityPolicy, s.deps.Page.ContentSecurityPolicy())
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	return s.deps.Page.RenderScan(c.Response().BodyWriter(), a.Lang, a)
}

// negotiate says whether the client would rather have a page. Without a preference it gets JSON.
func (s *server) negotiate(c *fiber.Ctx) (html bool, err error) {
	offers := []string{fiber.MIMEApplicationJSON, fiber.MIMETextHTML}
	if s.deps.Page == nil {
		offers = offers[:1]
	}
	switch c.Accepts(offers...) {
	case fiber.MIMETextHTML:
		return true, nil
	case fiber.MIMEApplicationJSON:
		return false, nil
	}
	return false, refuse(http.StatusNotAcceptable, "not_acceptable", "the answer can be had as application/json or text/html")
}

// scanRequest reads who scans, where, and in which language. Nothing that a shopper sends can make a scan fail: who cannot be told who is
// asking still tells what is known of the bottle. If the store failed to name the device the scan is not recorded, and the answer says so:
// recorded without its device it would look like a stranger's, and its owner would not be alerted.
//
// A seller's key is another matter: it says in which tenant to look, and a scan with one that is not known or not for this is refused.
func (s *server) scanRequest(c *fiber.Ctx, k *call) (trace.ScanRequest, error) {
	req := trace.ScanRequest{Lang: requestLang(c), Place: place(c.Query("place")), Preview: preview(c)}
	switch err := s.whoScans(c, k); {
	case err != nil && schemeOf(bearer(c)) == schemeSeller:
		return req, err
	case err != nil:
		s.deps.Log.WarnContext(c.UserContext(), "scan not recorded: the device is not known", "request_id", k.id, "error", err)
		req.Preview = true
	}
	req.Device = k.device
	if req.Device == "" {
		req.Visitor = s.visitor(c, req.Preview)
	}
	return req, nil
}

// whoScans finds out whose token came with a request to a scan path, unless somebody has already.
func (s *server) whoScans(c *fiber.Ctx, k *call) error {
	if k.token != "" {
		return nil
	}
	if err := s.authenticate(c.UserContext(), c, &scanAnyhow, k); err != nil {
		return err
	}
	return s.permitTest(c.UserContext(), &scanAnyhow, k)
}

// scanAnyhow is what the scan paths ask for: a device's token, which may be missing or unknown, or a seller's key.
var scanAnyhow = operation{schemes: []string{schemeDevice, schemeSeller}, optional: true, permission: access.PublicRead}

var visitorPattern = regexp.MustCompile(`^[0-9a-z]{16,32}$`)

// visitor gives the visitor's cookie, and sets one for those who have none. Robots get none.
func (s *server) visitor(c *fiber.Ctx, robot bool) string {
	if v := c.Cookies(visitorCookie); visitorPattern.MatchString(v) {
		return v
	}
	if robot {
		return ""
	}
	v := s.deps.NewToken()
	c.Cookie(&fiber.Cookie{
		Name: visitorCookie, Value: v, Path: "/", MaxAge: int(visitorTerm.Seconds()),
		HTTPOnly: true, SameSite: fiber.CookieSameSiteLaxMode, Secure: s.https,
	})
	return v
}

// requestLang is ?lang=, if we speak it, else the best of Accept-Language, else Chinese.
func requestLang(c *fiber.Ctx) string {
	return lang.Choose(c.Query("lang"), c.Get(fiber.HeaderAcceptLanguage))
}

// city is a device's city if it can be one, else "". Nobody but the device is shown it.
func city(s string) string {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxCity || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return s
}

// placePattern is a shop code, and no room for a message: places are shown to whoever scans the code later.
var placePattern = regexp.MustCompile(`^[a-z][a-z0-9-]{1,19}$`)

// place is ?place= if it can be one, else "".
func place(s string) string {
	if !placePattern.MatchString(s) {
		return ""
	}
	return s
}
