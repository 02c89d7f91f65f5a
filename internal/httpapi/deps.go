package httpapi

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/access/approval/press"
	"github.com/haisu-trace/haisu/internal/alert"
	"github.com/haisu-trace/haisu/internal/bulk"
	"github.com/haisu-trace/haisu/internal/casefile"
	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/coldchain"
	"github.com/haisu-trace/haisu/internal/consumer"
	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/firm/listing"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/job"
	"github.com/haisu-trace/haisu/internal/linkset"
	"github.com/haisu-trace/haisu/internal/qr/pdf"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
	"github.com/haisu-trace/haisu/internal/warning/notice"
)

// Deps are what the server works with. Services is mandatory.
type Deps struct {
	Version   string
	PublicURL string // absolute, without a trailing slash: what labels and links begin with
	Services  Services

	LabelFont *pdf.Font // Chinese on printed labels; nil leaves it to whoever opens them

	Page  Page                 // nil: scans and problems are answered in JSON only
	Pages func(r fiber.Router) // registers the pages that are no part of the contract; may be nil
	Forms []string             // what the paths of pages begin with that take a form by POST

	Log      *slog.Logger         // nil: nothing is logged
	Metrics  *prometheus.Registry // nil: a registry of its own
	Tracer   oteltrace.Tracer     // nil: there are no spans
	Now      clock.Now            // default time.Now
	NewToken func() string        // request IDs and visitor cookies; at least 80 random bits; default clock.Token(10)

	TrustedProxies []netip.Prefix // whose X-Forwarded-For and X-Request-Id are believed
	Limits         *Limits        // nil: DefaultLimits; not used with a Guard
	Guard          *Guard         // nil: one of the server's own, which bounds no connections and knows no other replicas
}

// Services are the domain as the handlers use it. All of them are mandatory but those that say otherwise.
type Services struct {
	Trail         Trail // mandatory in production: without it, whatever the table of permissions traces is refused
	Authenticator Authenticator
	Sessions      Sessions
	CSRF          CSRF // nil: sessions in cookies are not accepted
	Firms         Firms
	Scanner       Scanner
	Catalogue     Catalogue
	Codes         Codes
	Capture       Capture
	Graph         Graph
	Jobs          Jobs
	Links         Links
	Cold          ColdChain
	Documents     Documents
	Events        Events
	Desk          WarningDesk
	Press         WarningPress
	Warnings      Warnings
	Notices       Notices
	Listings      Listings
	Finder        Finder
	Devices       Devices
	Holdings      Holdings
	Inbox         Inbox
	Complaints    Complaints
	Imports       Imports
	Ledger        Ledger
	Proofs        LedgerProofs
	Tiles         LedgerTiles

	// Sandbox gives a firm's test tenant, and never another's. nil: test keys are refused.
	Sandbox func(ctx context.Context, firm string) (Tenant, error)

	Account     Account
	Credentials Credentials
	Enrolments  Enrolments
	Operators   Operators
	Provider    IdentityProvider // nil: no log-in through an identity provider
	Identities  IdentityLogins
	Authorities Authorities
	Bodies      Bodies // nil: every body acts for itself
	Registry    Registry
	Invitations Invitations
	Keys        Keys
	Approvals   Approvals
	Audit       AuditReader
	Cases       Cases
	DeviceData  DeviceData
	CaseData    CaseData

	Ready func(ctx context.Context) error // nil error: the store accepts writes and the warnings are loaded
}

// Authenticator says whose token this is, for sessions (hs_) and sellers' keys (hk_). Unauthenticated.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (access.Principal, error)
}

// Sessions opens and ends officers' sessions.
type Sessions interface {
	Login(ctx context.Context, r access.LoginRequest) (access.Session, error)
	Logout(ctx context.Context, token string) error
}

// Firms names firms. NotFound.
type Firms interface {
	Get(ctx context.Context, id string) (firm.Firm, error)
}

// Scanner answers scans.
type Scanner interface {
	Scan(ctx context.Context, req trace.ScanRequest) (*trace.Answer, error)
	Resolve(ctx context.Context, code string, req trace.ScanRequest) (*trace.Answer, error)
}

// Catalogue keeps products and lots.
type Catalogue interface {
	PutProduct(ctx context.Context, f firm.Firm, p trace.Product) (stored trace.Product, created bool, err error)
	Product(ctx context.Context, g gs1.GTIN) (*trace.ProductView, error)
	PutLot(ctx context.Context, f firm.Firm, l trace.Lot) (stored trace.Lot, created bool, err error)
	Lot(ctx context.Context, g gs1.GTIN, lot string) (*trace.LotView, error)
}

// Codes issues serials, prints and voids them, and ties codes of other schemes to lots.
type Codes interface {
	PlanBatch(ctx context.Context, f firm.Firm, g gs1.GTIN, lot string, count int64, idempotencyKey string) (trace.Batch, error)
	Batches(ctx context.Context, f firm.Firm, cursor string, limit int) (batches []trace.Batch, next string, err error)
	Batch(ctx context.Context, f firm.Firm, id string) (trace.Batch, error)
	Part(ctx context.Context, f firm.Firm, id string, from, count int64) (trace.Batch, trace.Span, error)
	EachUnit(ctx context.Context, b trace.Batch, part trace.Span, f func(position int64, u trace.Unit) error) error
	StartPrint(ctx context.Context, f firm.Firm, p trace.Print, from, count int64) (trace.Batch, trace.Print, error)
	PrintsOf(ctx context.Context, f firm.Firm, batch, cursor string, limit int) (prints []trace.Print, next string, err error)
	StateOf(ctx context.Context, u trace.Unit) (trace.UnitState, error)
	VoidUnit(ctx context.Context, f firm.Firm, g gs1.GTIN, serial string, v trace.Voiding) (before, after trace.Unit, err error)
	IssueCodes(ctx context.Context, f firm.Firm, g gs1.GTIN, lot string, count int, idempotencyKey string) ([]trace.Unit, error)
	Unit(ctx context.Context, g gs1.GTIN, serial string) (trace.Unit, error)
	PutForeignCodes(ctx context.Context, f firm.Firm, g gs1.GTIN, lot string, codes []trace.ForeignCode) (added int, err error)
}

// Jobs does what takes longer than a request may. NotFound for jobs of others.
type Jobs interface {
	Enqueue(ctx context.Context, n job.New) (job.Job, error)
	Get(ctx context.Context, o job.Owner, id string) (job.Job, error)
	List(ctx context.Context, o job.Owner, kind, cursor string, limit int) (jobs []job.Job, next string, err error)
	Cancel(ctx context.Context, o job.Owner, id string) (job.Job, error)
}

// Capture takes trace events.
type Capture interface {
	CaptureEvent(ctx context.Context, f firm.Firm, e *epcis.Event) (trace.Captured, error)
	Capture(ctx context.Context, f firm.Firm, doc *epcis.Document) (trace.CaptureResult, error)
	CaptureLarge(ctx context.Context, f firm.Firm, r io.Reader, behaviour string) (trace.CaptureJob, error)
	CaptureJob(ctx context.Context, firmID, id string) (trace.CaptureJob, error)
	CaptureJobs(ctx context.Context, firmID, cursor string, limit int) (jobs []trace.CaptureJob, next string, err error)
}

// Imports takes spreadsheets in.
type Imports interface {
	Begin(ctx context.Context, o bulk.Order, file io.Reader) (bulk.Import, error)
	Problems(ctx context.Context, o job.Owner, id, cursor string, limit int) (i bulk.Import, page []bulk.Problem, next string, err error)
}

// Graph follows goods. viewer is the firm whose view it is; "" is an officer's. NotFound for a firm that took no part.
type Graph interface {
	Whereabouts(ctx context.Context, start trace.Start, at time.Time, viewer string) (*trace.Whereabouts, error)
	Ancestors(ctx context.Context, start trace.Start, at time.Time, viewer string) (*trace.Lineage, error)
	Anomalies(ctx context.Context, g gs1.GTIN, tag, viewer, cursor string, limit int) (list []trace.Anomaly, next string, err error)
	Contradictions(ctx context.Context, ref gs1.Ref, tag, viewer string) (list []trace.Contradiction, more bool, err error)
}

// ColdChain keeps limits of products, and what loggers measured beside goods. viewer is the firm whose view it is; "" is an officer's.
type ColdChain interface {
	Limits(ctx context.Context, g gs1.GTIN) (coldchain.Limits, error)
	SetByFirm(ctx context.Context, f firm.Firm, g gs1.GTIN, r coldchain.Rules) (before, after coldchain.Limits, err error)
	SetByAuthority(ctx context.Context, authority string, g gs1.GTIN, r coldchain.Rules) (before, after coldchain.Limits, err error)
	Take(ctx context.Context, firmID string, batch []coldchain.Reading) (coldchain.Taken, error)
	Windows(ctx context.Context, firmID, logger, cursor string, limit int) (days []coldchain.Window, next string, err error)
	Bind(ctx context.Context, f firm.Firm, logger, thing string, from, to time.Time) (coldchain.Binding, error)
	Bindings(ctx context.Context, firmID, logger, cursor string, limit int) (list []coldchain.Binding, next string, err error)
	Excursions(ctx context.Context, viewer string, g gs1.GTIN, cursor string, limit int) (list []coldchain.Excursion, next string, err error)
}

// Links keeps what firms link from goods. Links gives those of a reference and of what it belongs to, the nearest first.
type Links interface {
	PutLinks(ctx context.Context, f firm.Firm, ref gs1.Ref, links []linkset.Link) (trace.LinkSet, error)
	Links(ctx context.Context, ref gs1.Ref) ([]linkset.Link, error)
}

// Documents keeps documents about goods. firm is whose one may be; "" is anyone's, for officers. NotFound.
type Documents interface {
	AddPaper(ctx context.Context, f firm.Firm, p trace.Paper, file io.Reader) (stored trace.Paper, created bool, err error)
	Paper(ctx context.Context, firm, id string) (trace.Paper, error)
	Papers(ctx context.Context, firm, cursor string, limit int) (papers []trace.Paper, next string, err error)
	DecidePaper(ctx context.Context, id string, seen trace.PaperState, d trace.Decision) (before, after trace.Paper, err error)
	WithdrawPaper(ctx context.Context, firm, id string) (trace.Paper, error)
	PaperFile(ctx context.Context, p *trace.Paper) (io.ReadCloser, error)
	PublicPapers(ctx context.Context, ref gs1.Ref) ([]trace.PaperView, error)
	PublicPaper(ctx context.Context, g gs1.GTIN, id string) (trace.Paper, error)
	PaperLinks(ctx context.Context, ref gs1.Ref) ([]linkset.Link, error)
}

// WarningDesk keeps drafts.
type WarningDesk interface {
	Create(ctx context.Context, by warning.Author, c warning.Content) (warning.Draft, error)
	Draft(ctx context.Context, no string) (warning.Draft, error)
	Drafts(ctx context.Context, authority, cursor string, limit int) (drafts []warning.Draft, next string, err error)
	UpdateDraft(ctx context.Context, by warning.Author, no string, revision int64, c warning.Content) (warning.Draft, error)
}

// WarningPress publishes, or asks for the approval of another operator where the officer's own guard says that this is what is missing. Asking
// twice asks once.
type WarningPress interface {
	Publish(ctx context.Context, by warning.Author, no string, revision int64) (press.Outcome, error)
	Amend(ctx context.Context, by warning.Author, no string, a warning.Amendment) (press.Outcome, error)
	Lift(ctx context.Context, by warning.Author, no string, c warning.Change) (press.Outcome, error)
	Retract(ctx context.Context, by warning.Author, no string, c warning.Change) (press.Outcome, error)
}

// Warnings reads what is published.
type Warnings interface {
	Get(ctx context.Context, no string) (warning.State, error)
	List(ctx context.Context, f warning.Filter, cursor string, limit int) (warning.Page, error)
	Heads(ctx context.Context, nos []string) (map[string]warning.Head, error)
}

// Listings keeps the serious-violation list. NotFound.
type Listings interface {
	Get(ctx context.Context, no string) (listing.Listing, error)
	List(ctx context.Context, cursor string, limit int) (page []listing.Listing, next string, err error)
	Publish(ctx context.Context, by listing.Author, c listing.Content) (l listing.Listing, created bool, err error)
	Change(ctx context.Context, by listing.Author, no string, ch listing.Change) (listing.Listing, error)
}

// Notices reads notices from abroad.
type Notices interface {
	Notices(ctx context.Context, g gs1.GTIN) ([]notice.Notice, error)
	List(ctx context.Context, source, cursor string, limit int) (notices []notice.Notice, next string, err error)
	GetMany(ctx context.Context, ids []string) (map[string]notice.Notice, error)
}

// Finder searches by words, the best match first. What it finds is read from the store afterwards. Unavailable.
type Finder interface {
	FindWarnings(ctx context.Context, text string, f warning.Filter, cursor string, limit int) (nos []string, next string, err error)
	FindNotices(ctx context.Context, text, cursor string, limit int) (ids []string, next string, err error)
}

// Devices keeps devices. ByToken says whose token (hd_) this is. Unauthenticated.
type Devices interface {
	Register(ctx context.Context, n consumer.NewDevice) (d consumer.Device, token string, err error)
	ByToken(ctx context.Context, token string) (consumer.Device, error)
	SetPushToken(ctx context.Context, id, token string) error
	SetSubscriptions(ctx context.Context, id string, subs []consumer.Subscription) ([]consumer.Subscription, error)
}

// Holdings keeps what households have.
type Holdings interface {
	AddHolding(ctx context.Context, device string, h consumer.Holding) (consumer.Holding, error)
	Holdings(ctx context.Context, device, cursor string, limit int) (store.Page[consumer.Holding], error)
	DeleteHolding(ctx context.Context, device, id string) error
}

// Inbox has the alerts of devices.
type Inbox interface {
	Inbox(ctx context.Context, device string, since time.Time, cursor string, limit int) (items []alert.InboxItem, next string, err error)
}

// Complaints files complaints and tells their filers what became of them.
type Complaints interface {
	File(ctx context.Context, c casefile.NewComplaint, idempotencyKey string) (casefile.Receipt, error)
	Status(ctx context.Context, no, secret string) (casefile.View, error)
}

// Page renders for people. lang is one of the public languages.
type Page interface {
	RenderScan(w io.Writer, lang string, a *trace.Answer) error
	// RenderProblem renders a refusal. detail is in English and meant for the public.
	RenderProblem(w io.Writer, lang string, status int, code, detail, requestID string) error
	// ContentSecurityPolicy is what the pages were made for.
	ContentSecurityPolicy() string
}
