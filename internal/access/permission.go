package access

import (
	"slices"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/warning"
)

// Role is a part of what an operator may do. An operator has one or more.
type Role string

// The roles.
const (
	Viewer        Role = "viewer"        // reads what its authority works on
	Officer       Role = "officer"       // drafts warnings, works on cases
	Publisher     Role = "publisher"     // publishes, and approves what another asks to publish
	Registrar     Role = "registrar"     // takes in firms, and gives and ends their keys
	Administrator Role = "administrator" // keeps operators and authorities, and publishes nothing
	Auditor       Role = "auditor"       // reads the audit trail
)

// Roles are all roles, from the least to the most.
var Roles = []Role{Viewer, Officer, Publisher, Registrar, Administrator, Auditor}

// exclusive are the roles that nobody has together with Administrator: whoever lets others in must not be one of two who publish.
var exclusive = []Role{Officer, Publisher}

// held is what counts of an operator's roles: an administrator who was given exclusive ones behind this package's back has not got them.
func held(roles []Role) []Role {
	if !slices.Contains(roles, Administrator) {
		return roles
	}
	return slices.DeleteFunc(slices.Clone(roles), func(r Role) bool { return slices.Contains(exclusive, r) })
}

// Scope is a part of what a seller's key may do.
type Scope string

// The scopes.
const (
	ScopeCatalogue Scope = "catalogue" // products, lots, codes of other schemes
	ScopeCodes     Scope = "codes"     // issuing serial numbers
	ScopeCapture   Scope = "capture"   // trace events and readings, and reading those that concern the firm
	ScopeKeys      Scope = "keys"      // the firm's own keys: listing, rotating, ending them
)

// Scopes are all scopes.
var Scopes = []Scope{ScopeCatalogue, ScopeCodes, ScopeCapture, ScopeKeys}

// Action is what a request does, as the contract names it in x-permission.
type Action string

// The actions.
const (
	PublicRead     Action = "public.read"     // what anybody may read
	PublicFile     Action = "public.file"     // complaints, new devices, log-ins, invitations: what anybody may bring
	DeviceSelf     Action = "device.self"     // a device's own data
	FilerSelf      Action = "case.filer"      // a filer's own case
	SessionSelf    Action = "session.self"    // an operator's own sessions
	CatalogueWrite Action = "catalogue.write" // products and lots
	DocumentWrite  Action = "document.write"  // documents about goods
	DocumentRead   Action = "document.read"   // what is said of them
	DocumentFile   Action = "document.file"   // the files, which may name persons
	DocumentDecide Action = "document.decide" // verifying and refusing them
	ImportSelf     Action = "import.self"     // spreadsheets, each kind as far as the key's scopes reach
	LimitsWrite    Action = "limits.write"    // what a product bears on its way
	SensorsSelf    Action = "sensors.self"    // a firm's loggers, what they were with and what they measured
	ExcursionsRead Action = "excursions.read" // when goods were outside of their limits
	CodesIssue     Action = "codes.issue"
	CodesRead      Action = "codes.read"
	CodesPrint     Action = "codes.print" // what labels are printed from
	CodesVoid      Action = "codes.void"
	JobSelf        Action = "job.self" // the jobs of one's firm or authority
	EventsCapture  Action = "events.capture"
	TraceRead      Action = "trace.read" // where goods went, beyond the public chain
	EventsRead     Action = "events.read"
	WarningDrafts  Action = "warning.drafts" // reading drafts
	WarningDraft   Action = "warning.draft"
	WarningPublish Action = "warning.publish" // publishing a draft, and every message after the first
	ListingPublish Action = "listing.publish" // entries of the serious-violation list
	ApprovalRead   Action = "approval.read"
	ApprovalDecide Action = "approval.decide"
	CaseRead       Action = "case.read" // a case with who filed it
	FirmRead       Action = "firm.read"
	FirmWrite      Action = "firm.write"
	KeyRead        Action = "key.read"
	KeyWrite       Action = "key.write" // giving, rotating and ending keys
	OperatorRead   Action = "operator.read"
	OperatorWrite  Action = "operator.write"
	AuthorityWrite Action = "authority.write"
	AuditRead      Action = "audit.read"
	LedgerRead     Action = "ledger.read" // the whole documents behind leaves of the transparency log
)

// Trace says what the audit trail keeps of an action.
type Trace string

// The traces.
const (
	Untraced Trace = ""       // nothing: it is public, one's own, or kept with the data itself
	Writes   Trace = "writes" // who did it, with what was before and after
	Reads    Trace = "reads"  // who read personal data, or had labels
)

// Rule is one line of the table: who may do an action.
type Rule struct {
	Action Action
	Doc    string // what it is, for the reference

	Anyone bool   // also without credentials
	Device bool   // a device's token
	Filer  bool   // a receipt's secret
	Scope  Scope  // a seller's key of this scope; FirmRead: any key
	Roles  []Role // an operator with any of these

	Narrowed bool            // only for product classes, places and cases of the operator's authority, and for firms only their own
	ByLevel  bool            // only up to the operator's level
	FourEyes []warning.Level // another operator, who might do it too, must agree at these levels,
	Recalls  bool            // and on recalls, whatever their level
	Trace    Trace
}

// anyKey is a scope that every key has.
const anyKey Scope = "any"

// Table is the one table of permissions.
var Table = []Rule{
	{Action: PublicRead, Doc: "read what is public", Anyone: true},
	{Action: PublicFile, Doc: "file a complaint, register a device, log in, accept an invitation", Anyone: true},
	{Action: DeviceSelf, Doc: "a device's own settings, holdings and alerts", Device: true},
	{Action: FilerSelf, Doc: "follow, export and withdraw one's own case", Filer: true},
	{Action: SessionSelf, Doc: "one's own sessions and second factor", Roles: Roles, Trace: Writes},
	{Action: CatalogueWrite, Doc: "describe products, lots and codes of other schemes", Scope: ScopeCatalogue, Narrowed: true},
	{Action: LimitsWrite, Doc: "set the limits of products", Scope: ScopeCatalogue, Roles: []Role{Officer, Publisher}, Narrowed: true, Trace: Writes},
	{Action: SensorsSelf, Doc: "report what loggers measured and what they were with, and read it back", Scope: ScopeCapture, Narrowed: true},
	{Action: ExcursionsRead, Doc: "list excursions: officers all, firms their own", Scope: ScopeCapture, Roles: []Role{Viewer, Officer, Publisher}},
	{Action: DocumentWrite, Doc: "hand in and withdraw documents about goods", Scope: ScopeCatalogue, Narrowed: true, Trace: Writes},
	{Action: DocumentRead, Doc: "read what is said of documents: firms of their own", Scope: ScopeCatalogue, Roles: []Role{Viewer, Officer, Publisher}, Narrowed: true},
	{
		Action: DocumentFile, Doc: "download documents that are not public: firms their own", Scope: ScopeCatalogue, Roles: []Role{Viewer, Officer, Publisher},
		Narrowed: true, Trace: Reads,
	},
	{Action: DocumentDecide, Doc: "verify and refuse documents", Roles: []Role{Officer, Publisher}, Narrowed: true, Trace: Writes},
	{Action: ImportSelf, Doc: "import spreadsheets of what the key may write by itself, and follow the imports", Scope: anyKey, Narrowed: true},
	{Action: CodesIssue, Doc: "issue serial numbers", Scope: ScopeCodes, Narrowed: true},
	{Action: CodesRead, Doc: "read what was issued, printed and voided", Scope: ScopeCodes, Narrowed: true},
	{Action: CodesPrint, Doc: "print labels", Scope: ScopeCodes, Narrowed: true, Trace: Reads},
	{Action: CodesVoid, Doc: "void issued codes", Scope: ScopeCodes, Narrowed: true, Trace: Writes},
	{Action: JobSelf, Doc: "follow and cancel one's jobs", Roles: Roles, Scope: anyKey, Narrowed: true, Trace: Writes},
	{Action: EventsCapture, Doc: "report trace events", Scope: ScopeCapture, Narrowed: true},
	{Action: TraceRead, Doc: "follow goods: officers all, firms one step up and down", Roles: []Role{Viewer, Officer, Publisher}, Scope: anyKey},
	{Action: EventsRead, Doc: "query trace events", Scope: ScopeCapture, Roles: []Role{Viewer, Officer, Publisher}, Narrowed: true},
	{Action: WarningDrafts, Doc: "read drafts of warnings", Roles: []Role{Viewer, Officer, Publisher}, Narrowed: true},
	{Action: WarningDraft, Doc: "draft warnings", Roles: []Role{Officer, Publisher}, Narrowed: true, Trace: Writes},
	{
		Action: WarningPublish, Doc: "publish, amend, lift and retract warnings", Roles: []Role{Publisher},
		Narrowed: true, ByLevel: true, FourEyes: []warning.Level{warning.Red, warning.Orange}, Recalls: true, Trace: Writes,
	},
	{Action: ListingPublish, Doc: "put firms on the serious-violation list, correct and lift", Roles: []Role{Publisher}, Narrowed: true, Trace: Writes},
	{Action: ApprovalRead, Doc: "read requests for approval", Roles: []Role{Officer, Publisher}, Narrowed: true},
	{Action: ApprovalDecide, Doc: "approve or reject what another asks to publish", Roles: []Role{Publisher}, Narrowed: true, ByLevel: true, Trace: Writes},
	{Action: CaseRead, Doc: "read cases with who filed them", Roles: []Role{Officer, Publisher}, Narrowed: true, Trace: Reads},
	{Action: FirmRead, Doc: "read what is kept of a firm", Roles: Roles, Scope: anyKey, Narrowed: true},
	{Action: FirmWrite, Doc: "take in firms and invite them", Roles: []Role{Registrar}, Trace: Writes},
	{Action: KeyRead, Doc: "list a firm's keys", Roles: []Role{Registrar}, Scope: ScopeKeys, Narrowed: true},
	{Action: KeyWrite, Doc: "give, rotate and end a firm's keys", Roles: []Role{Registrar}, Scope: ScopeKeys, Narrowed: true, Trace: Writes},
	{Action: OperatorRead, Doc: "list operators and their sessions", Roles: []Role{Administrator, Auditor}, Trace: Reads},
	{Action: OperatorWrite, Doc: "add, change and disable operators", Roles: []Role{Administrator}, Trace: Writes},
	{Action: AuthorityWrite, Doc: "change authorities and their competence", Roles: []Role{Administrator}, Trace: Writes},
	{
		Action: LedgerRead, Doc: "read all that is stored behind a leaf of the transparency log", Roles: []Role{Viewer, Officer, Publisher, Auditor},
		Scope: anyKey, Narrowed: true,
	},
	{Action: AuditRead, Doc: "read, export and check the audit trail", Roles: []Role{Auditor}, Trace: Reads},
}

// RuleOf gives the rule of an action; false for an action that is not in the table.
func RuleOf(a Action) (*Rule, bool) {
	r, ok := rules[a]
	return r, ok
}

var rules = func() map[Action]*Rule {
	m := make(map[Action]*Rule, len(Table))
	for i := range Table {
		m[Table[i].Action] = &Table[i]
	}
	return m
}()

// Admits says whether a kind of caller may do the action at all, before it is known on what.
func (r *Rule) Admits(p *Principal) bool {
	if r.Anyone {
		return true
	}
	switch p.Kind {
	case KindOperator:
		return slices.ContainsFunc(r.Roles, p.Has)
	case KindSeller:
		return r.Scope == anyKey || r.Scope != "" && slices.Contains(p.Scopes, r.Scope)
	case KindDevice:
		return r.Device
	case KindFiler:
		return r.Filer
	}
	return false
}

// NeedsTwo says whether the action needs a second operator at a level, or on a recall.
func (r *Rule) NeedsTwo(l warning.Level, recall bool) bool {
	return slices.Contains(r.FourEyes, l) || recall && r.Recalls
}

// Target is what an action is done on. What is empty does not apply to it.
type Target struct {
	Authority string // the body that it belongs to
	Class     string // product category
	Level     warning.Level
	Recall    bool
	Firm      string
	Second    string // login of the operator who approved it
}

// The refusals of Allow. Each is Forbidden but errOther, which is NotFound: a caller does not learn what others have.
var (
	errRole  = fault.New(fault.Forbidden, "not_permitted", "these credentials are not for this; the reference lists who may")
	errClass = fault.New(fault.Forbidden, "not_competent", "the operator's authority is not competent for this class of products")
	errLevel = fault.New(fault.Forbidden, "level_not_permitted", "this is above the level up to which the operator may publish")
	errTwo   = fault.New(fault.Forbidden, "four_eyes", "this needs the approval of another operator")
	errOther = fault.New(fault.NotFound, "not_found", "there is no such thing here")
)

// Allow says whether p may do the action on t. It is the one place where that is decided: nil, Forbidden (not_permitted,
// not_competent, level_not_permitted, four_eyes), or NotFound for what belongs to another authority or firm.
func Allow(p *Principal, a Action, t Target) error {
	r, ok := RuleOf(a)
	if !ok || !r.Admits(p) {
		return errRole
	}
	if r.Narrowed {
		switch {
		case p.Kind == KindOperator && t.Authority != "" && t.Authority != p.Authority,
			p.Kind == KindSeller && t.Firm != "" && t.Firm != p.Firm:
			return errOther
		case p.Kind == KindOperator && t.Class != "" && !covers(p.Classes, t.Class):
			return errClass
		}
	}
	if r.ByLevel && t.Level != "" && t.Level.Rank() > p.Level.Rank() {
		return errLevel
	}
	if r.NeedsTwo(t.Level, t.Recall) && (t.Second == "" || t.Second == p.ID) {
		return errTwo
	}
	return nil
}

func covers(classes []string, class string) bool {
	return slices.Contains(classes, AllClasses) || slices.Contains(classes, class)
}
