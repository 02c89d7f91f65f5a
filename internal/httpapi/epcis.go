package httpapi

import (
	"bytes"
	"net/http"
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/trace"
)

// maxEventValues bounds the JSON values of an event, or of a document that is captured before the answer leaves: reading takes memory by their number.
const maxEventValues = 64 << 10

// eventLimits bound a body with one event; x-max-body-bytes of the contract comes first.
var eventLimits = epcis.Limits{Bytes: trace.CaptureLimits.Bytes, Values: maxEventValues}

// captureEvent takes one EPCIS event. The decoder gets the bytes as they came: the event's hash depends on them.
func (s *server) captureEvent(c *fiber.Ctx) error {
	e, err := epcis.DecodeEvent(received(c), eventLimits)
	if err != nil {
		return err
	}
	f, err := s.sellerFirm(c.UserContext())
	if err != nil {
		return err
	}
	got, err := s.tenant(callOf(c)).Capture.CaptureEvent(c.UserContext(), f, e)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderLocation, "/epcis/events/"+url.PathEscape(got.EventID))
	return c.Status(http.StatusCreated).JSON(got)
}

// headerBehaviour says what is to become of a document with events that are refused (EPCIS 2.0, 12.6.1).
const headerBehaviour = "GS1-Capture-Error-Behaviour"

// maxWholeBody is the largest document that is captured before the answer leaves, in bytes: x-whole-up-to of the contract.
const maxWholeBody = 256 << 10

// wholeLimits bound it.
var wholeLimits = epcis.Limits{Bytes: maxWholeBody, Events: 5000, Values: maxEventValues}

// captureDocument takes an EPCIS document. A small one is captured or refused at once; any other is kept, and captured by a job.
func (s *server) captureDocument(c *fiber.Ctx) error {
	f, err := s.sellerFirm(c.UserContext())
	if err != nil {
		return err
	}
	captures, behaviour, body := s.tenant(callOf(c)).Capture, c.Get(headerBehaviour, trace.Rollback), callOf(c).body
	var got trace.CaptureJob
	if body == nil && behaviour == trace.Rollback {
		got, err = captureWhole(c, captures, f)
	} else {
		if body == nil {
			body = bytes.NewReader(received(c))
		}
		got, err = captures.CaptureLarge(c.UserContext(), f, body, behaviour)
	}
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderLocation, "/epcis/capture/"+got.ID)
	return c.Status(http.StatusAccepted).JSON(wordCapture(&got))
}

func captureWhole(c *fiber.Ctx, captures Capture, f firm.Firm) (trace.CaptureJob, error) {
	doc, err := epcis.DecodeDocument(received(c), wholeLimits)
	if err != nil {
		return trace.CaptureJob{}, err
	}
	res, err := captures.Capture(c.UserContext(), f, doc)
	if err != nil {
		return trace.CaptureJob{}, err
	}
	return captures.CaptureJob(c.UserContext(), f.ID, res.CaptureID)
}

func (s *server) getCapture(c *fiber.Ctx) error {
	f, err := s.sellerFirm(c.UserContext())
	if err != nil {
		return err
	}
	got, err := s.tenant(callOf(c)).Capture.CaptureJob(c.UserContext(), f.ID, c.Params("captureID"))
	if err != nil {
		return err
	}
	return c.JSON(wordCapture(&got))
}

func (s *server) listCaptures(c *fiber.Ctx) error {
	f, err := s.sellerFirm(c.UserContext())
	if err != nil {
		return err
	}
	limit := c.QueryInt("perPage", epcis.DefaultPerPage)
	jobs, next, err := s.tenant(callOf(c)).Capture.CaptureJobs(c.UserContext(), f.ID, c.Query("nextPageToken"), limit)
	if err != nil {
		return err
	}
	s.linkNext(c, next)
	out := make([]captureJob, len(jobs))
	for i := range jobs {
		out[i] = wordCapture(&jobs[i])
	}
	return c.JSON(out)
}

// captureJob is the schema EpcisCaptureJob of the contract.
type captureJob struct {
	ID         string            `json:"captureID"`
	Created    time.Time         `json:"createdAt"`
	Finished   time.Time         `json:"finishedAt,omitzero"`
	Running    bool              `json:"running"`
	Success    bool              `json:"success"`
	Behaviour  string            `json:"captureErrorBehaviour"`
	Total      int               `json:"eventsTotal"`
	Done       int               `json:"eventsDone"`
	Stored     int               `json:"eventsStored"`
	Known      int               `json:"eventsKnown"`
	ErrorCount int               `json:"errorCount"`
	Errors     []captureJobError `json:"errors"`
}

// captureJobError is a problem document (RFC 9457) without a request: the schema EpcisCaptureError of the contract.
type captureJobError struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

func wordCapture(j *trace.CaptureJob) captureJob {
	out := captureJob{
		ID: j.ID, Created: j.Created, Finished: j.Finished, Running: j.Running, Success: j.Success, Behaviour: j.Behaviour,
		Total: j.Total, Done: j.Done, Stored: j.Stored, Known: j.Known, ErrorCount: j.Failed, Errors: make([]captureJobError, len(j.Errors)),
	}
	for i, e := range j.Errors {
		out.Errors[i] = captureJobError{refusalType(e.Code), http.StatusText(e.Status), e.Status, e.Code, e.Pointer, e.Detail}
	}
	return out
}

// refusalBase is where mobile-contract/epcis-codes.md explains why event data are refused, each code under a heading of its own.
const refusalBase = "https://github.com/haisu-trace/haisu/blob/main/mobile-contract/epcis-codes.md#"

// refusalType is the page of a code. What ends a capture and is no matter of the data is explained with the other problems.
func refusalType(code string) string {
	if epcis.IsRule(code) {
		return refusalBase + code
	}
	return problemBase + code
}

// received is the body as it came, in memory of its own. Fiber's Body would decompress it without a bound.
func received(c *fiber.Ctx) []byte { return bytes.Clone(c.Request().Body()) }
