package httpapi

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/haisu-trace/haisu/internal/consumer"
	"github.com/haisu-trace/haisu/internal/httpapi/contracttest"
	"github.com/haisu-trace/haisu/internal/qr"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
	contract "github.com/haisu-trace/haisu/mobile-contract"
)

var camelCase = regexp.MustCompile(`^[a-z][A-Za-z]+$`)

// eachOperation calls f for every operation of the contract in a subtest.
func eachOperation(t *testing.T, f func(t *testing.T, method, path string, op *openapi3.Operation)) {
	t.Helper()
	paths := contracttest.Load(t).Doc.Paths.Map()
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		for method, op := range paths[path].Operations() {
			t.Run(op.OperationID, func(t *testing.T) { f(t, method, path, op) })
		}
	}
}

func TestContractOperations(t *testing.T) { //nolint:tparallel // each operation is compared with those before it
	t.Parallel()
	var tags, seen []string
	for _, tag := range contracttest.Load(t).Doc.Tags {
		tags = append(tags, tag.Name)
	}
	eachOperation(t, func(t *testing.T, method, path string, op *openapi3.Operation) {
		if !camelCase.MatchString(op.OperationID) || slices.Contains(seen, op.OperationID) {
			t.Errorf("%s %s: operationId %q", method, path, op.OperationID)
		}
		seen = append(seen, op.OperationID)
		if op.Summary == "" || op.Description == "" || len(op.Tags) != 1 || !slices.Contains(tags, op.Tags[0]) {
			t.Error("wants a summary, a description and one declared tag")
		}
		if op.Security == nil {
			t.Fatal("wants a security, if only []")
		}
		wantsProblems(t, method, op)
	})
}

// wantsProblems requires the problem responses that the server may give.
func wantsProblems(t *testing.T, method string, op *openapi3.Operation) {
	t.Helper()
	want := []int{500, 503}
	if op.RequestBody != nil {
		want = append(want, 400, 413, 415, 422)
	}
	if len(op.Parameters) > 0 && op.OperationID != "getContract" {
		want = append(want, 400)
	}
	o, err := newOperation(method, "/", op)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.schemes) > 0 && !o.optional {
		want = append(want, 401)
		if !slices.Contains(o.schemes, schemeDevice) && !o.needsReceipt {
			want = append(want, 403)
		}
	}
	for _, status := range want {
		if op.Responses.Status(status) == nil {
			t.Errorf("no response %d", status)
		}
	}
	for status, r := range op.Responses.Map() {
		if status < "400" {
			continue
		}
		media := r.Value.Content[typeProblem]
		if media == nil || media.Schema.Ref != "#/components/schemas/Problem" || media.Example == nil {
			t.Errorf("response %s: wants a problem document with an example", status)
		}
	}
}

// open are the schemas of documents whose rules are not this contract's: EPCIS has its own, the audit trail keeps what was stored, the members
// of a link set are link types, and each kind of job has results of its own.
var open = []string{"EpcisEvent", "EpcisDocument", "EpcisQueryDocument", "AuditDocument", "LinkContext", "JobResult"}

func TestContractSchemas(t *testing.T) { //nolint:tparallel // eachOperation goes through them in turn, for the test above
	t.Parallel()
	doc := contracttest.Load(t).Doc
	for name, s := range doc.Components.Schemas {
		if !slices.Contains(open, name) {
			checkSchema(t, name, s.Value)
		}
	}
	for name, h := range doc.Components.Headers {
		checkSchema(t, "header "+name, h.Value.Schema.Value)
	}
	eachOperation(t, func(t *testing.T, _, _ string, op *openapi3.Operation) {
		for _, p := range op.Parameters {
			if p.Value.Description == "" {
				t.Errorf("parameter %s: no description", p.Value.Name)
			}
			checkSchema(t, "parameter "+p.Value.Name, p.Value.Schema.Value)
		}
		if op.RequestBody != nil {
			for media, m := range op.RequestBody.Value.Content {
				if m.Schema.Ref == "" {
					t.Errorf("body %s: the schema has no name", media)
				}
			}
		}
	})
}

// checkSchema wants closed objects, bounds on everything that can be long, and names for every object and list item, since
// generators give nameless ones nameless types.
func checkSchema(t *testing.T, at string, s *openapi3.Schema) {
	t.Helper()
	switch {
	case s.Type.Is("object"):
		if s.AdditionalProperties.Has == nil || *s.AdditionalProperties.Has {
			t.Errorf("%s: wants additionalProperties: false", at)
		}
		for name, p := range s.Properties {
			if p.Ref != "" {
				continue
			}
			if p.Value.Type.Is("object") {
				t.Errorf("%s.%s: an object without a name", at, name)
			}
			checkSchema(t, at+"."+name, p.Value)
		}
	case s.Type.Is("array"):
		if s.MaxItems == nil || s.Items.Ref == "" {
			t.Errorf("%s: wants maxItems and a named item", at)
		}
	case s.Type.Is("string"):
		if s.MaxLength == nil && len(s.Enum) == 0 {
			t.Errorf("%s: wants maxLength", at)
		}
		if s.Pattern != "" && (!strings.HasPrefix(s.Pattern, "^") || !strings.HasSuffix(s.Pattern, "$")) {
			t.Errorf("%s: the pattern is not anchored", at)
		}
	case s.Type.Is("integer"):
		if s.Min == nil || s.Max == nil {
			t.Errorf("%s: wants minimum and maximum", at)
		}
	case s.Type.Is("number"):
		if s.Format != "double" {
			t.Errorf("%s: wants the format double: clients make of a bare number what has seven digits", at)
		}
	case !s.Type.Is("boolean"):
		t.Errorf("%s: no type", at)
	}
}

// The contract says what the domain does.
func TestContractVocabularies(t *testing.T) {
	t.Parallel()
	schemas := contracttest.Load(t).Doc.Components.Schemas
	content := schemas["WarningContent"].Value.Properties
	for name, c := range map[string]struct {
		schema *openapi3.Schema
		terms  []warning.Term
	}{
		"Level":    {schemas["Level"].Value, warning.Levels},
		"Category": {schemas["Category"].Value, warning.Categories},
		"Hazard":   {schemas["Hazard"].Value, warning.Hazards},
		"regime":   {content["regime"].Value, warning.Regimes},
	} {
		var want, got []string
		for _, term := range c.terms {
			want = append(want, term.Code)
		}
		for _, v := range c.schema.Enum {
			got = append(got, fmt.Sprint(v))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s\ngot  %v\nwant %v", name, got, want)
		}
	}
}

func TestContractBounds(t *testing.T) {
	t.Parallel()
	doc := contracttest.Load(t).Doc
	property := func(schema, name string) *openapi3.Schema {
		return doc.Components.Schemas[schema].Value.Properties[name].Value
	}
	length := func(schema string) int { return int(*property(schema, "en").MaxLength) }
	items := func(schema, name string) int { return int(*property(schema, name).MaxItems) }
	bodyLimit := func(path string) int {
		op, err := newOperation("POST", path, doc.Paths.Value(path).Post)
		if err != nil {
			t.Fatal(err)
		}
		return op.maxBody
	}
	size := doc.Paths.Value("/v1/codes/{gtin}/{serial}.png").Get.Parameters.GetByInAndName("query", "size").Schema.Value
	for name, c := range map[string]struct{ got, want int }{
		"title":         {length("WarningTitle"), warning.MaxTitle},
		"advice":        {length("WarningAdvice"), warning.MaxAdvice},
		"summary":       {length("Prose"), warning.MaxSummary},
		"short text":    {length("WarningShortText"), warning.MaxShortText},
		"issuer":        {length("WarningIssuer"), warning.MaxIssuer},
		"reason":        {length("WarningReason"), warning.MaxReason},
		"clauses":       {items("WarningScope", "clauses"), warning.MaxClauses},
		"gtins":         {items("WarningClause", "gtins"), warning.MaxGTINs},
		"lots":          {items("WarningClause", "lots"), warning.MaxLots},
		"codes":         {int(*property("IssueCodesInput", "count").Max), trace.MaxBatch},
		"codes at once": {items("IssuedCodes", "items"), trace.MaxCodes},
		"foreign codes": {items("ForeignCodesInput", "codes"), trace.MaxForeignCodes},
		"subscriptions": {items("Subscriptions", "subscriptions"), consumer.MaxSubscriptions},
		"capture":       {bodyLimit("/epcis/capture"), trace.LargeLimits.Bytes},
		"smallest QR":   {int(*size.Min), qr.MinSize},
		"largest QR":    {int(*size.Max), qr.MaxSize},
	} {
		if c.got != c.want {
			t.Errorf("%s: the contract has %d, the domain %d", name, c.got, c.want)
		}
	}
}

func TestContractHasAnExampleForEachOperation(t *testing.T) {
	t.Parallel()
	entries, err := contract.Examples.ReadDir("examples")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, strings.TrimSuffix(e.Name(), ".json"))
	}
	slices.Sort(got)
	if want := operationIDs(t); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
