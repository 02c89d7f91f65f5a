package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/trace"
)

// Events reads trace events.
type Events interface {
	Events(ctx context.Context, r trace.Reader, q *epcis.Query) (trace.EventPage, error)
	Spoken(ctx context.Context, firmID string, a epcis.Aspect, cursor string, limit int) (values []string, next string, err error)
}

// epcisResource is a kind of top-level resource of the REST binding by which events are found (EPCIS 2.0, 12.7).
type epcisResource struct {
	name, param string
	aspect      epcis.Aspect
	listed      bool
}

var epcisResources = []epcisResource{
	{"eventTypes", "eventType", epcis.AType, true},
	{"bizSteps", "bizStep", epcis.ABizStep, true},
	{"bizLocations", "bizLocation", epcis.ABizLocation, true},
	{"readPoints", "readPoint", epcis.AReadPoint, true},
	{"dispositions", "disposition", epcis.ADisposition, true},
	{"epcs", "epc", epcis.AThing, false}, // there may be billions
}

func (s *server) epcisRoutes(app *fiber.App, ops []*operation) {
	app.Get("/epcis", s.epcisTop)
	app.Get("/epcis/events", s.listEvents)
	app.Post("/epcis/events", s.captureEvent)
	app.Get("/epcis/events/:eventID", s.getEvent)
	app.Post("/epcis/capture", s.captureDocument)
	app.Get("/epcis/capture", s.listCaptures)
	app.Get("/epcis/capture/:captureID", s.getCapture)
	for _, r := range epcisResources {
		at := "/epcis/" + r.name
		if r.listed {
			app.Get(at, s.listValues(r))
		}
		app.Get(at+"/:"+r.param, s.getValue(r))
		app.Get(at+"/:"+r.param+"/events", s.listEventsBy(r))
	}
	s.epcisOptions(app, ops)
}

// epcisOptions answers OPTIONS on every path of the interface, as the contract describes it for the first.
func (s *server) epcisOptions(app *fiber.App, ops []*operation) {
	methods := map[string][]string{}
	var described *operation
	for _, op := range ops {
		if op.path == "/epcis" || strings.HasPrefix(op.path, "/epcis/") {
			if op.method == http.MethodOptions {
				described = op
				continue
			}
			if op.method == http.MethodGet {
				methods[op.path] = append(methods[op.path], op.method, http.MethodHead)
				continue
			}
			methods[op.path] = append(methods[op.path], op.method)
		}
	}
	for path, allow := range methods {
		answer := s.discover(strings.Join(append(allow, http.MethodOptions), ", "))
		if path == described.path {
			app.Options(path, answer)
			continue
		}
		same := *described
		same.path = path
		app.Options(path, s.admit(&same), answer)
	}
}

// epcisVersion is the version of EPCIS and of CBV that is spoken, the only one.
const epcisVersion = "2.0.0"

func (s *server) discover(allow string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		for _, h := range [][2]string{
			{fiber.HeaderAllow, allow},
			{"GS1-EPCIS-Version", epcisVersion},
			{"GS1-EPCIS-Min", epcisVersion},
			{"GS1-EPCIS-Max", epcisVersion},
			{"GS1-CBV-Version", epcisVersion},
			{"GS1-CBV-Min", epcisVersion},
			{"GS1-CBV-Max", epcisVersion},
			{headerEPCFormat, neverTranslated},
			{headerXMLFormat, neverTranslated},
			{"GS1-Vendor-Version", "haisu-" + s.deps.Version},
			{"GS1-Extensions", "cbvmda=urn:epcglobal:cbv:mda"},
			{"GS1-EPCIS-Capture-Limit", strconv.Itoa(trace.LargeLimits.Events)},
			{"GS1-EPCIS-Capture-File-Size-Limit", strconv.Itoa(trace.LargeLimits.Bytes)},
			{headerBehaviour, trace.Rollback + ", " + trace.Proceed},
		} {
			c.Set(h[0], h[1])
		}
		return c.SendStatus(http.StatusNoContent)
	}
}

// Headers by which a client asks for another form of what was captured, and the only value that is granted.
const (
	headerEPCFormat = "GS1-EPC-Format"
	headerXMLFormat = "GS1-CBV-XML-Format"
	neverTranslated = "Never_Translates"
)

// answerEPCIS sends a JSON text in the form that the client wants, and says which version of the standard it is.
func answerEPCIS(c *fiber.Ctx, body []byte) error {
	const plain, linked = fiber.MIMEApplicationJSON, "application/ld+json"
	media := c.Accepts(plain, linked)
	if media == "" {
		return refuse(http.StatusNotAcceptable, "not_acceptable", "the answer is %s or %s", plain, linked)
	}
	c.Set(fiber.HeaderContentType, media)
	c.Set("GS1-EPCIS-Version", epcisVersion)
	c.Set("GS1-CBV-Version", epcisVersion)
	return c.Send(body)
}

// speaksEPCIS refuses versions and forms that are not to be had (EPCIS 2.0, 12.6.3).
func speaksEPCIS(c *fiber.Ctx) error {
	for _, name := range []string{"GS1-EPCIS-Version", "GS1-CBV-Version"} {
		if v := c.Get(name); v != "" && v != "2" && !strings.HasPrefix(v, "2.0") {
			return refuse(http.StatusNotAcceptable, "not_acceptable", "%s is %s here", name, epcisVersion)
		}
	}
	for _, name := range []string{headerEPCFormat, headerXMLFormat} {
		if v := c.Get(name); v != "" && !strings.EqualFold(v, neverTranslated) && !strings.EqualFold(v, "No_Preference") {
			return refuse(http.StatusNotAcceptable, "not_acceptable", "%s is %s here", name, neverTranslated)
		}
	}
	return nil
}

// epcisContext is the JSON-LD context of what this server writes itself.
const epcisContext = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"

// collection is a list of resources: the schema EpcisCollection of the contract.
type collection struct {
	Context string   `json:"@context"`
	Type    string   `json:"type"`
	Member  []string `json:"member"`
}

func answerCollection(c *fiber.Ctx, members []string) error {
	if members == nil {
		members = []string{}
	}
	b, err := json.Marshal(collection{epcisContext, "Collection", members})
	if err != nil {
		return err
	}
	return answerEPCIS(c, b)
}

func (s *server) epcisTop(c *fiber.Ctx) error {
	names := []string{"capture", "events"}
	for _, r := range epcisResources {
		names = append(names, r.name)
	}
	return answerCollection(c, names)
}

// listValues lists the resources of a kind.
func (s *server) listValues(r epcisResource) fiber.Handler {
	return func(c *fiber.Ctx) error {
		reader, err := s.reader(c)
		if err != nil {
			return err
		}
		firmID := ""
		if reader.Firm != nil {
			firmID = reader.Firm.ID
		}
		limit := c.QueryInt("perPage", epcis.DefaultPerPage)
		values, next, err := s.tenant(callOf(c)).Events.Spoken(c.UserContext(), firmID, r.aspect, c.Query("nextPageToken"), limit)
		if err != nil {
			return err
		}
		s.linkNext(c, next)
		return answerCollection(c, values)
	}
}

// getValue lists what is under one resource.
func (s *server) getValue(r epcisResource) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if _, err := restricted(c, r, nil); err != nil {
			return err
		}
		return answerCollection(c, []string{"events"})
	}
}

func (s *server) listEventsBy(r epcisResource) fiber.Handler {
	return func(c *fiber.Ctx) error {
		q, err := restricted(c, r, params(c))
		if err != nil {
			return err
		}
		return s.answerQuery(c, q, false)
	}
}

// restricted is a query under the resource that the path names. A value that cannot be is a resource that there is not.
func restricted(c *fiber.Ctx, r epcisResource, params []epcis.Param) (*epcis.Query, error) {
	q, bad := epcis.ParseQuery(params)
	if bad != nil {
		return nil, badParams(bad)
	}
	value, err := url.PathUnescape(c.Params(r.param))
	if err != nil || q.Restrict(r.aspect, value) != nil {
		return nil, refuse(http.StatusNotFound, "not_found", "there is no such %s", r.param)
	}
	return q, nil
}

func (s *server) listEvents(c *fiber.Ctx) error {
	q, bad := epcis.ParseQuery(params(c))
	if bad != nil {
		return badParams(bad)
	}
	return s.answerQuery(c, q, false)
}

func (s *server) getEvent(c *fiber.Ctx) error {
	id, err := url.PathUnescape(c.Params("eventID"))
	if err != nil {
		return err
	}
	q := &epcis.Query{PerPage: epcis.DefaultPerPage}
	if bad := q.Restrict(epcis.AnID, id); bad != nil {
		return badParams(bad)
	}
	return s.answerQuery(c, q, true)
}

// params are the parameters of the query, without their escapes.
func params(c *fiber.Ctx) []epcis.Param {
	var out []epcis.Param
	c.Context().QueryArgs().VisitAll(func(name, value []byte) {
		out = append(out, epcis.Param{Name: string(name), Value: string(value)})
	})
	return out
}

func badParams(bad []epcis.BadParam) error {
	r := refuse(http.StatusBadRequest, "invalid_parameter", "a parameter breaks a rule; see errors")
	for _, b := range bad[:min(len(bad), maxFieldErrors)] {
		r.errors = append(r.errors, fieldError{Parameter: clip(b.Name, 64), Code: b.Code, Detail: b.Detail})
	}
	return r
}

// reader says who asks: a firm, or an officer, who sees all.
func (s *server) reader(c *fiber.Ctx) (trace.Reader, error) {
	if err := speaksEPCIS(c); err != nil {
		return trace.Reader{}, err
	}
	if callOf(c).principal.Kind != access.KindSeller {
		return trace.Reader{}, nil
	}
	f, err := s.sellerFirm(c.UserContext())
	return trace.Reader{Firm: &f}, err
}

// answerQuery answers a page of a query. wanted says that finding nothing is a 404.
func (s *server) answerQuery(c *fiber.Ctx, q *epcis.Query, wanted bool) error {
	r, err := s.reader(c)
	if err != nil {
		return err
	}
	page, err := s.tenant(callOf(c)).Events.Events(c.UserContext(), r, q)
	if err != nil {
		return err
	}
	if wanted && len(page.Events) == 0 {
		return refuse(http.StatusNotFound, "event_not_found", "there is no event with this ID here")
	}
	s.linkNext(c, page.Next)
	return answerEPCIS(c, queryDocument(page.Events, s.deps.Now()))
}

// linkNext links the next page (RFC 8288): the same request with the token.
func (s *server) linkNext(c *fiber.Ctx, token string) {
	if token == "" {
		return
	}
	args, err := url.ParseQuery(string(c.Request().URI().QueryString()))
	if err != nil {
		return // admit has refused it
	}
	args.Set("nextPageToken", token)
	c.Set(fiber.HeaderLink, "<"+s.link("%s", c.Path())+"?"+args.Encode()+`>; rel="next"`)
}

// queryDocument writes an EPCISQueryDocument. The events stand in it byte for byte, each under its own @context.
func queryDocument(events []json.RawMessage, now time.Time) []byte {
	n := 512
	for _, e := range events {
		n += len(e) + 1
	}
	b := make([]byte, 0, n)
	b = append(b, `{"@context":["`+epcisContext+`"],"type":"EPCISQueryDocument","schemaVersion":"2.0","creationDate":"`...)
	b = now.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `","epcisBody":{"queryResults":{"queryName":"SimpleEventQuery","resultsBody":{"eventList":[`...)
	for i, e := range events {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, e...)
	}
	return append(b, `]}}}}`...)
}
