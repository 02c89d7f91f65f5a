// Package trace holds products, lots and units, captures EPCIS events, walks the trace graph that the events make, and
// answers the question of a scan: is this code in order, is the unit safe, has it been sold, who scanned it before?
package trace

import (
	"time"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
)

// Product is one firm's record of a product. Several firms may sell one GTIN; each has its own record.
type Product struct {
	GTIN        gs1.GTIN  `json:"gtin"`
	Firm        string    `json:"firm"`
	Name        lang.Text `json:"name"`
	Brand       lang.Text `json:"brand,omitempty"`
	Category    string    `json:"category"`         // warning.Categories
	Origin      string    `json:"origin,omitempty"` // ISO 3166-1 alpha-2
	Net         string    `json:"net,omitempty"`    // net content as printed
	Description lang.Text `json:"description,omitempty"`
	LotHint     lang.Text `json:"lot_hint,omitempty"` // where the lot is printed on the package
	Updated     time.Time `json:"updated"`
}

// Lot is one firm's record of a lot. Dates are YYYY-MM-DD or empty.
type Lot struct {
	GTIN        gs1.GTIN  `json:"gtin"`
	Lot         string    `json:"lot"`
	Firm        string    `json:"firm"`
	Produced    string    `json:"produced,omitempty"`
	Expires     string    `json:"expires,omitempty"`
	Quantity    int64     `json:"quantity,omitempty"`
	Declaration string    `json:"declaration,omitempty"` // customs declaration number
	Inspection  string    `json:"inspection,omitempty"`  // inspection and quarantine certificate number
	Updated     time.Time `json:"updated"`
}

// UnitState is the life of a unit's code.
type UnitState string

// The states of a unit's code.
const (
	UnitIssued UnitState = "issued" // printed; active, once a confirmed event says that the label is on goods, which is derived when it is read
	UnitActive UnitState = "active" // never stored; see Service.StateOf
	UnitVoid   UnitState = "void"   // withdrawn: the label was destroyed or never used
)

// Unit is one item with a serial.
type Unit struct {
	GTIN   gs1.GTIN  `json:"gtin"`
	Serial string    `json:"serial"`
	Lot    string    `json:"lot,omitempty"`
	Firm   string    `json:"firm"`
	State  UnitState `json:"state"`
	Batch  string    `json:"batch,omitempty"` // the issue request that made it
	Issued time.Time `json:"issued"`
	Voided *Voiding  `json:"voided,omitempty"` // why it is void
}

// Ref is the unit's identity.
func (u Unit) Ref() gs1.Ref { return gs1.Ref{GTIN: u.GTIN, Lot: u.Lot, Serial: u.Serial} }

// ForeignCode is a code of another scheme that a unit (or, without serial, a lot) carries besides ours.
type ForeignCode struct {
	Scheme string    `json:"scheme"` // hainan_duty_free, udi, brand, or another short name
	Code   string    `json:"code"`   // as printed
	GTIN   gs1.GTIN  `json:"gtin"`
	Lot    string    `json:"lot"`
	Serial string    `json:"serial,omitempty"`
	Firm   string    `json:"firm"`
	Added  time.Time `json:"added"`
}

func (c ForeignCode) ref() gs1.Ref { return gs1.Ref{GTIN: c.GTIN, Lot: c.Lot, Serial: c.Serial} }

// headlineOrder is the order of headline statuses, worst first.
var headlineOrder = []string{HeadRecalled, HeadWarning, HeadUnconfirmed, HeadVoid, HeadSuspicious, HeadUnknown, HeadCodeValid}

// Headline statuses, worst first.
const (
	HeadRecalled    = "recalled"
	HeadWarning     = "warning"
	HeadUnconfirmed = "unconfirmed"
	HeadVoid        = "void"
	HeadSuspicious  = "suspicious"
	HeadUnknown     = "unknown"
	HeadCodeValid   = "code_valid"
)

// Authenticity statuses. None of them says that the bottle is genuine: a printed code can be copied.
const (
	AuthIssued         = "issued"
	AuthUnknownUnit    = "unknown_unit"
	AuthUnknownProduct = "unknown_product"
	AuthSuspicious     = "suspicious"
	AuthVoid           = "void"
)

// Safety statuses.
const (
	SafeNoneKnown   = "none_known"
	SafeWarning     = "warning"
	SafeRecalled    = "recalled"
	SafeUnconfirmed = "unconfirmed"
)

// Sale statuses.
const (
	SaleUnsold       = "unsold"
	SaleSold         = "sold"
	SaleSoldDutyFree = "sold_duty_free"
)

// Provenance of a fact.
const (
	ProvVerified = "verified" // by an authority
	ProvClaimed  = "claimed"  // by a firm
	ProvMissing  = "missing"
)

// Answer answers a scan. Texts are in the language Lang. It is also the JSON of the scan paths and of /v1/resolve.
type Answer struct {
	Lang         string       `json:"lang"`
	Asked        Asked        `json:"asked"`
	Level        string       `json:"level"` // what is known: unit, lot, product or none
	Headline     Headline     `json:"headline"`
	Authenticity Authenticity `json:"authenticity"`
	Safety       Safety       `json:"safety"`
	Sale         Sale         `json:"sale"`
	Findings     []Finding    `json:"findings"` // worst first
	Product      *ProductView `json:"product,omitempty"`
	Lot          *LotView     `json:"lot,omitempty"`
	Chain        []Step       `json:"chain"`                // oldest first
	Cold         *ColdAnswer  `json:"cold_chain,omitempty"` // of goods whose product has limits
	Scan         ScanFacts    `json:"scan"`

	Contradictions []Contradiction `json:"contradictions,omitempty"` // in the order of times

	encoded *encoded // of Product, Lot and Chain; nil: they are not encoded yet
}

// Asked is what the code says. Exactly one of GTIN and Code may be empty.
type Asked struct {
	GTIN   string `json:"gtin,omitempty"`
	Lot    string `json:"lot,omitempty"`
	Serial string `json:"serial,omitempty"`
	Code   string `json:"code,omitempty"`   // a code of another scheme, as given
	Scheme string `json:"scheme,omitempty"` // its scheme, if known
}

// Headline is the first thing to read: what is the case, and what to do now.
type Headline struct {
	Status string `json:"status"`
	Level  string `json:"level,omitempty"` // of the warning
	Title  string `json:"title"`
	Todo   string `json:"todo"`
}

// Authenticity says what is known about the code.
type Authenticity struct {
	Status string `json:"status"`
	Text   string `json:"text"`
}

// Safety says what is known against the unit at AsOf.
type Safety struct {
	Status string    `json:"status"`
	Level  string    `json:"level,omitempty"`
	Text   string    `json:"text"`
	AsOf   time.Time `json:"as_of"`
}

// Sale says whether the unit was sold.
type Sale struct {
	Status string `json:"status"`
	Text   string `json:"text"`
}

// Finding is one thing that was found, with what to do about it.
type Finding struct {
	Kind  string `json:"kind"`            // recall, warning, notice, code, scan or sale
	Code  string `json:"code"`            // stable, lower_snake_case
	Level string `json:"level,omitempty"` // of a warning
	Match string `json:"match,omitempty"` // certain, or possible: check the package
	No    string `json:"no,omitempty"`    // of a warning or notice
	Title string `json:"title"`
	Text  string `json:"text,omitempty"`
	Todo  string `json:"todo,omitempty"`
}

// ProductView is the public view of a product, merged over the firms that sell it.
type ProductView struct {
	GTIN        string     `json:"gtin"`
	Name        lang.Text  `json:"name"`
	Brand       lang.Text  `json:"brand,omitempty"`
	Category    string     `json:"category"`
	Origin      string     `json:"origin,omitempty"`
	Net         string     `json:"net,omitempty"`
	Description lang.Text  `json:"description,omitempty"`
	LotHint     lang.Text  `json:"lot_hint,omitempty"`
	Sellers     []FirmName `json:"sellers"`
	Provenance  string     `json:"provenance"` // of all facts together
	Updated     time.Time  `json:"updated"`

	Facts     ProductFacts `json:"facts"`
	Documents []PaperView  `json:"documents,omitempty"` // those that count most
}

// LotView is the public view of a lot, merged over the firms that handle it.
type LotView struct {
	GTIN        string     `json:"gtin"`
	Lot         string     `json:"lot"`
	Produced    string     `json:"produced,omitempty"`
	Expires     string     `json:"expires,omitempty"`
	Quantity    int64      `json:"quantity,omitempty"`
	Declaration string     `json:"declaration,omitempty"`
	Inspection  string     `json:"inspection,omitempty"`
	Sellers     []FirmName `json:"sellers"`
	Provenance  string     `json:"provenance"` // of all facts together
	Updated     time.Time  `json:"updated"`

	Facts     LotFacts    `json:"facts"`
	Documents []PaperView `json:"documents,omitempty"` // those that count most

	vouched        string // the production date, if who may speak for the product says it: no other clears a warning
	vouchedExpires string
	differs        []Contradiction // between the records of those who may speak for the product
}

// FirmName names a firm to the public.
type FirmName struct {
	ID   string    `json:"id"`
	Name lang.Text `json:"name"`
	Kind string    `json:"kind,omitempty"`
}

// Step is one fact of the chain. A missing step has only Stage, Title and Provenance.
type Step struct {
	Stage      string     `json:"stage"`               // production, export, port, warehouse, store, sale or other
	Time       *time.Time `json:"time,omitempty"`      // UTC
	TimeText   string     `json:"time_text,omitempty"` // as captured, with its offset
	Title      string     `json:"title"`
	Place      string     `json:"place,omitempty"`
	Firm       string     `json:"firm,omitempty"`
	Provenance string     `json:"provenance"`
	Document   string     `json:"document,omitempty"` // a declaration or certificate number
	EventID    string     `json:"event_id,omitempty"`
	Corrected  bool       `json:"corrected,omitempty"` // declared an error later
	Log        *StepLog   `json:"log,omitempty"`
}

// StepLog says where the event of a step stands in the transparency log.
type StepLog struct {
	State string `json:"state"`           // logged or pending
	Index *int64 `json:"index,omitempty"` // of its leaf
	Proof string `json:"proof,omitempty"` // path of the leaf with its proof
}

// The states of an event in the transparency log.
const (
	LogLogged  = "logged"
	LogPending = "pending" // it was captured just now: for two seconds at most while the log keeps pace
)

// ScanFacts says what is known of the scans of this very code. Count and Places do not include this scan.
type ScanFacts struct {
	Recorded bool       `json:"recorded"`
	First    bool       `json:"first"` // this scan is the first one of this unit
	Count    int        `json:"count"` // earlier scans by others, at most 200
	FirstAt  *time.Time `json:"first_at,omitempty"`
	Places   []string   `json:"places,omitempty"`
}
