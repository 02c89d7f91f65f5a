package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/access"
	contract "github.com/haisu-trace/haisu/mobile-contract"
)

// The security schemes of the contract.
const (
	schemeSeller  = "sellerKey"
	schemeOfficer = "officerSession"
	schemeDevice  = "deviceToken"
	schemeReceipt = "receiptSecret"
	schemeCookie  = "officerCookie" // an officer's session in another place
)

const (
	defaultMaxBody  = 64 << 10
	defaultDeadline = 10 * time.Second
)

// deadlines of operations that may do the work of thousands.
var deadlines = map[string]time.Duration{
	"captureDocument": 60 * time.Second,
	"issueCodes":      30 * time.Second,
	"eraseDevice":     30 * time.Second,
	"putForeignCodes": 30 * time.Second,
	"createImport":    90 * time.Minute, // the body's rate bounds it: 64 MiB at 16 KiB/s take 68 minutes
	"createDocument":  15 * time.Minute, // likewise: 10 MiB take 11 minutes
}

// cachePolicies of public reads. A policy makes an ETag, too; see cache.go.
var cachePolicies = map[string]string{
	"getProduct":   "public, max-age=60",
	"getLot":       "public, max-age=60",
	"getCodePng":   "public, max-age=86400",
	"getCodeSvg":   "public, max-age=86400",
	"listWarnings": "public, no-cache",
	"getWarning":   "public, no-cache",
	"listNotices":  "public, no-cache",
	"listAlerts":   "private, no-cache",
	"getContract":  "public, no-cache",
	"getLinks":     "public, max-age=60",

	"getProductLimits":    "public, max-age=60",
	"listPublicDocuments": "public, max-age=60",

	"getResolver": "public, max-age=86400",

	"getImportTemplate":      "public, max-age=3600",
	"getLedger":              "public, no-cache",
	"getLedgerCheckpoint":    "public, no-cache",
	"listLedgerLeaves":       "public, no-cache",
	"getLedgerLeaf":          "public, no-cache",
	"findLedgerLeaf":         "public, no-cache",
	"proveLedgerInclusion":   "public, no-cache",
	"proveLedgerConsistency": "public, no-cache",

	"listSeriousViolations": "public, no-cache",
	"getSeriousViolation":   "public, no-cache",

	"listAuthorities": "public, no-cache",
	"getAuthority":    "public, no-cache",
	"getCompetence":   "public, no-cache",
	"getOperator":     "private, no-cache",
}

// operation is one operation of the contract, made ready to check requests against.
type operation struct {
	id     string
	method string
	path   string // as Fiber writes it
	params openapi3.Parameters
	query  map[string]bool // the names of query parameters

	permission access.Action
	trace      access.Trace // what the audit trail keeps of it
	subject    string       // what the trail calls that which it is done on

	schemes  []string // acceptable credentials; any one of them
	optional bool     // credentials may be missing

	body         *openapi3.RequestBody // nil: none
	bodySchema   *openapi3.Schema
	bodyTypes    []string // media types, sorted
	maxBody      int
	freeForm     bool // the body is checked by its handler
	freeQuery    bool // parameters that are not in the contract are ignored
	streamed     bool // the body is read by its handler, as it comes
	wholeUpTo    int  // but not one of at most so many bytes, if that is announced
	deadline     time.Duration
	cache        string
	localised    bool // the answer depends on Accept-Language
	needsReceipt bool
}

// loadContract reads the embedded contract, once: nobody changes what it gives.
var loadContract = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(contract.OpenAPI)
	if err != nil {
		return nil, fmt.Errorf("read the contract: %w", err)
	}
	return doc, nil
})

// operations gives the operations of the contract, in order of path and method.
func operations(doc *openapi3.T) ([]*operation, error) {
	var out []*operation
	paths := doc.Paths.Map()
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		ops := paths[path].Operations()
		for _, method := range slices.Sorted(maps.Keys(ops)) {
			op, err := newOperation(method, path, ops[method])
			if err != nil {
				return nil, fmt.Errorf("contract: %s %s: %w", method, path, err)
			}
			out = append(out, op)
		}
	}
	return out, nil
}

var pathParameter = regexp.MustCompile(`\{(\w+)\}`)

func newOperation(method, path string, o *openapi3.Operation) (*operation, error) {
	op := &operation{
		id: o.OperationID, method: method, path: pathParameter.ReplaceAllString(path, ":$1"), params: o.Parameters, query: map[string]bool{},
		maxBody: defaultMaxBody, deadline: defaultDeadline, cache: cachePolicies[o.OperationID],
	}
	for _, p := range o.Parameters {
		switch {
		case p.Value.In == openapi3.ParameterInQuery:
			op.query[p.Value.Name] = true
		case p.Value.Name == fiber.HeaderAcceptLanguage:
			op.localised = true
		}
	}
	if o.Security == nil {
		return nil, fmt.Errorf("no security")
	}
	for _, alternative := range *o.Security {
		if len(alternative) == 0 {
			op.optional = true
		}
		for scheme := range alternative {
			if scheme != schemeCookie {
				op.schemes = append(op.schemes, scheme)
			}
		}
	}
	op.needsReceipt = slices.Contains(op.schemes, schemeReceipt)
	if d, ok := deadlines[op.id]; ok {
		op.deadline = d
	}
	if err := op.extensions(o.Extensions); err != nil {
		return nil, err
	}
	rule, ok := access.RuleOf(op.permission)
	if !ok {
		return nil, fmt.Errorf("x-permission %q: no line of the table of permissions", op.permission)
	}
	op.trace, op.subject = traceOf(rule, method), subjectOf(path)
	if o.RequestBody != nil {
		op.body = o.RequestBody.Value
		op.bodyTypes = slices.Sorted(maps.Keys(op.body.Content))
		op.bodySchema = op.body.Content[op.bodyTypes[0]].Schema.Value
	}
	return op, nil
}

// extensions reads what OpenAPI has no words for.
func (op *operation) extensions(x map[string]any) error {
	for name, target := range map[string]any{
		"x-permission": &op.permission, "x-max-body-bytes": &op.maxBody, "x-free-form": &op.freeForm, "x-free-query": &op.freeQuery,
		"x-streamed": &op.streamed, "x-whole-up-to": &op.wholeUpTo,
	} {
		v, ok := x[name]
		if !ok {
			continue
		}
		b, err := json.Marshal(v)
		if err == nil {
			err = json.Unmarshal(b, target)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// register puts h in front of the operation's handler. Fiber routes HEAD to the handlers of GET, so the checks go there too.
func (op *operation) register(r fiber.Router, h fiber.Handler) {
	if op.method == http.MethodGet {
		r.Get(op.path, h)
		return
	}
	r.Add(op.method, op.path, h)
}
