package httpapi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/epcis"
)

var heading = regexp.MustCompile(`(?m)^### ([a-z][a-z0-9_]*)$`)

// Codes are a promise to clients: mobile-contract/problems.md explains each that a response may have, and none that is gone.
func TestProblemCodesAreExplained(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../mobile-contract/problems.md")
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(string(page), -1) {
		explained[m[1]] = true
	}
	used := map[string]string{} // code → where
	for _, root := range []string{"..", "../../search"} {
		collectCodes(t, root, used)
	}
	for _, c := range epcis.Rules { // the answer has the code of its one reason
		for _, r := range c.Rules {
			if r.Status != http.StatusUnprocessableEntity {
				used[r.Code] = "epcis.Rules"
			}
		}
	}
	if len(used) < 20 {
		t.Fatalf("only %d codes found: the search for them is broken", len(used))
	}
	for _, code := range slices.Sorted(maps.Keys(used)) {
		if !explained[code] {
			t.Errorf("%s: the code %s is not explained in problems.md", used[code], code)
		}
	}
	for code := range explained {
		if _, ok := used[code]; !ok {
			t.Errorf("problems.md explains %s, which nothing gives", code)
		}
	}
}

// collectCodes finds the codes of faults and refusals that are written as literals in production code.
func collectCodes(t *testing.T, root string, used map[string]string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".gen.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if code := codeIn(n); code != "" {
				used[code] = path
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// codeIn is the code in fault.New(kind, code, …), refuse(status, code, …), fault.Error{Code: code} or httpError{code: code}.
func codeIn(n ast.Node) string {
	switch n := n.(type) {
	case *ast.CallExpr:
		if name := nameOf(n.Fun); (name == "fault.New" || name == "refuse") && len(n.Args) > 1 {
			return literal(n.Args[1])
		}
	case *ast.CompositeLit:
		if name := nameOf(n.Type); name != "fault.Error" && name != "httpError" {
			return ""
		}
		for _, e := range n.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok && strings.EqualFold(nameOf(kv.Key), "code") {
				return literal(kv.Value)
			}
		}
	}
	return ""
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return nameOf(e.X) + "." + e.Sel.Name
	}
	return ""
}

func literal(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return s
}
