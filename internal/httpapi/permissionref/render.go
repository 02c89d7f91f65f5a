package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/warning"
	contract "github.com/haisu-trace/haisu/mobile-contract"
)

// operation is one operation of the contract.
type operation struct{ id, method, path string }

const intro = `# Permissions

<!-- Made by go generate ./internal/httpapi from internal/access/permission.go and openapi.yaml. Do not edit. -->

Every operation of the contract names one permission in ` + "`x-permission`" + `. There is one table that says who has it, and it is asked twice for a request: once
it is known who asks, and again once it is known on what. Whoever does not have it gets 401 (no credentials, or bad ones), 403, or 404 for what belongs
to another firm or authority.

## Callers

| caller | credentials |
|---|---|
| anyone | none |
| device | a device's token, ` + "`hd_…`" + `; sees its own data only |
| filer | the secret of a receipt; sees the one case |
| seller | a key, ` + "`hk_…`" + `, for what its scopes say, and for its own firm only; a test key, ` + "`hk_test_…`" + `, works on the firm's test tenant |
| operator | a session, ` + "`hs_…`" + `, or the same in a cookie; has one or more roles, acts for one authority, and publishes up to a level |

`

// render writes the reference.
func render() ([]byte, error) {
	doc, err := openapi3.NewLoader().LoadFromData(contract.OpenAPI)
	if err != nil {
		return nil, fmt.Errorf("read the contract: %w", err)
	}
	ops, err := byPermission(doc)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(intro)
	writeTable(&b)
	writeRoles(&b)
	writeOperations(&b, ops)
	return b.Bytes(), nil
}

// byPermission groups the operations by what they need, each group in order of path and method.
func byPermission(doc *openapi3.T) (map[access.Action][]operation, error) {
	out := map[access.Action][]operation{}
	paths := doc.Paths.Map()
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		ops := paths[path].Operations()
		for _, method := range slices.Sorted(maps.Keys(ops)) {
			o := ops[method]
			name, _ := o.Extensions["x-permission"].(string)
			if _, ok := access.RuleOf(access.Action(name)); !ok {
				return nil, fmt.Errorf("%s: x-permission %q is no line of the table", o.OperationID, name)
			}
			out[access.Action(name)] = append(out[access.Action(name)], operation{o.OperationID, method, path})
		}
	}
	return out, nil
}

func writeTable(b *bytes.Buffer) {
	b.WriteString("## The table\n\n| permission | what | who | only | second operator | audit trail |\n|---|---|---|---|---|---|\n")
	for i := range access.Table {
		r := &access.Table[i]
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s |\n", r.Action, r.Doc, who(r), only(r), second(r), r.Trace)
	}
	b.WriteString("\n")
}

// who lists the callers of a rule.
func who(r *access.Rule) string {
	if r.Anyone {
		return "anyone"
	}
	var out []string
	if r.Device {
		out = append(out, "device")
	}
	if r.Filer {
		out = append(out, "filer")
	}
	switch {
	case r.Scope == "":
	case !slices.Contains(access.Scopes, r.Scope):
		out = append(out, "seller (any scope)")
	default:
		out = append(out, "seller (`"+string(r.Scope)+"`)")
	}
	switch {
	case len(r.Roles) == len(access.Roles):
		out = append(out, "operator (any role)")
	case len(r.Roles) > 0:
		out = append(out, "operator ("+join(r.Roles)+")")
	}
	return strings.Join(out, ", ")
}

// only says how a rule is narrowed.
func only(r *access.Rule) string {
	var out []string
	switch {
	case !r.Narrowed:
	case r.Scope != "": // what it is done on is a firm's
		out = append(out, "a seller: its own firm")
	default:
		out = append(out, "the operator's authority and its product classes")
	}
	if r.ByLevel {
		out = append(out, "up to the operator's level")
	}
	return strings.Join(out, "; ")
}

func second(r *access.Rule) string {
	if len(r.FourEyes) == 0 {
		return ""
	}
	text := "at " + join(r.FourEyes)
	if r.Recalls {
		text += ", and on every recall"
	}
	return text
}

func join[T access.Role | warning.Level](in []T) string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = "`" + string(v) + "`"
	}
	return strings.Join(out, ", ")
}

func writeRoles(b *bytes.Buffer) {
	b.WriteString("## By role\n\n| permission |")
	for _, role := range access.Roles {
		fmt.Fprintf(b, " %s |", role)
	}
	b.WriteString("\n|---|" + strings.Repeat(":-:|", len(access.Roles)) + "\n")
	for i := range access.Table {
		r := &access.Table[i]
		if len(r.Roles) == 0 {
			continue
		}
		fmt.Fprintf(b, "| `%s` |", r.Action)
		for _, role := range access.Roles {
			mark := ""
			if slices.Contains(r.Roles, role) {
				mark = "✓"
			}
			fmt.Fprintf(b, " %s |", mark)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
}

func writeOperations(b *bytes.Buffer, ops map[access.Action][]operation) {
	b.WriteString("## Operations\n\n| permission | operation | |\n|---|---|---|\n")
	for i := range access.Table {
		for _, o := range ops[access.Table[i].Action] {
			fmt.Fprintf(b, "| `%s` | `%s` | `%s %s` |\n", access.Table[i].Action, o.id, o.method, o.path)
		}
	}
}
