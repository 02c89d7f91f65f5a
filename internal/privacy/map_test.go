package privacy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/privacy"
)

const module = "github.com/haisu-trace/haisu/"

// source is the program's packages as far as this test needs them: their types, with the file that each stands in.
type source struct {
	types  map[string]map[string]typeIn // package path → name
	consts map[string]map[string]string
	files  map[string][]*ast.File
}

type typeIn struct {
	expr ast.Expr
	file *ast.File
}

func readSource(t *testing.T) *source {
	t.Helper()
	s := &source{types: map[string]map[string]typeIn{}, consts: map[string]map[string]string{}, files: map[string][]*ast.File{}}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "test/") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		pkg := module + "internal" + strings.TrimPrefix(dir, "..")
		if dir == "." {
			pkg = module + "internal/privacy"
		}
		s.add(pkg, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *source) add(pkg string, f *ast.File) {
	if s.types[pkg] == nil {
		s.types[pkg], s.consts[pkg] = map[string]typeIn{}, map[string]string{}
	}
	s.files[pkg] = append(s.files[pkg], f)
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range g.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				s.types[pkg][spec.Name.Name] = typeIn{spec.Type, f}
			case *ast.ValueSpec:
				for i, n := range spec.Names {
					if i < len(spec.Values) {
						s.consts[pkg][n.Name] = text(spec.Values[i])
					}
				}
			}
		}
	}
}

func text(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	v, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return v
}

// documents gives the fields of the documents of every collection that is declared, by their place, with their type.
func (s *source) documents(t *testing.T) map[string]map[string]string {
	t.Helper()
	out := map[string]map[string]string{}
	for pkg, files := range s.files {
		for _, f := range files {
			ast.Inspect(f, func(n ast.Node) bool {
				lit, ok := n.(*ast.CompositeLit)
				if !ok {
					return true
				}
				ix, ok := lit.Type.(*ast.IndexExpr)
				if !ok || !isDef(ix.X) {
					return true
				}
				for _, e := range lit.Elts {
					kv, ok := e.(*ast.KeyValueExpr)
					if !ok || name(kv.Key) != "Name" {
						continue
					}
					coll := text(kv.Value)
					if coll == "" {
						coll = s.consts[pkg][name(kv.Value)]
					}
					if coll == "" {
						t.Errorf("%s declares a collection whose name this test cannot read", pkg)
					}
					out[coll] = map[string]string{}
					s.walk(out[coll], pkg, f, ix.Index, "", 0)
				}
				return true
			})
		}
	}
	return out
}

func isDef(e ast.Expr) bool {
	if sel, ok := e.(*ast.SelectorExpr); ok {
		return name(sel.X) == "store" && sel.Sel.Name == "Def"
	}
	return name(e) == "Def"
}

func name(e ast.Expr) string {
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// walk notes the type at a place, and goes on into structures of this module.
func (s *source) walk(out map[string]string, pkg string, file *ast.File, e ast.Expr, place string, depth int) {
	if depth > 12 {
		return
	}
	switch e := e.(type) {
	case *ast.StarExpr:
		s.walk(out, pkg, file, e.X, place, depth)
	case *ast.ArrayType:
		s.walk(out, pkg, file, e.Elt, place, depth)
	case *ast.MapType:
		s.walk(out, pkg, file, e.Value, place, depth)
	case *ast.Ident:
		if t, ok := s.types[pkg][e.Name]; ok {
			s.named(out, pkg, t, e.Name, place, depth)
		} else {
			out[place] = e.Name
		}
	case *ast.SelectorExpr:
		path := imported(file, name(e.X))
		if t, ok := s.types[path][e.Sel.Name]; ok {
			s.named(out, path, t, e.Sel.Name, place, depth)
		} else {
			out[place] = name(e.X) + "." + e.Sel.Name
		}
	case *ast.StructType:
		s.members(out, pkg, file, e, place, depth)
	default:
		out[place] = "?"
	}
}

func (s *source) named(out map[string]string, pkg string, t typeIn, typeName, place string, depth int) {
	if st, ok := t.expr.(*ast.StructType); ok {
		s.members(out, pkg, t.file, st, place, depth)
		out[place] = "struct"
		return
	}
	out[place] = strings.TrimPrefix(pkg, module) + "." + typeName
	if _, plain := t.expr.(*ast.Ident); !plain {
		kept := out[place]
		s.walk(out, pkg, t.file, t.expr, place, depth+1)
		out[place] = kept
	}
}

func (s *source) members(out map[string]string, pkg string, file *ast.File, st *ast.StructType, place string, depth int) {
	for _, f := range st.Fields.List {
		tag := ""
		if f.Tag != nil {
			tag, _, _ = strings.Cut(reflect.StructTag(text(f.Tag)).Get("json"), ",")
		}
		names := []string{tag}
		if tag == "" {
			names = nil
			for _, n := range f.Names {
				if n.IsExported() { // what is not does not reach the store
					names = append(names, n.Name)
				}
			}
			if len(f.Names) > 0 && names == nil {
				continue
			}
		}
		if tag == "-" {
			continue
		}
		if len(names) == 0 { // embedded
			s.walk(out, pkg, file, f.Type, place, depth+1)
			continue
		}
		typ := f.Type
		if f.Tag != nil {
			if holds := reflect.StructTag(text(f.Tag)).Get("holds"); holds != "" { // raw JSON of that type
				typ = ast.NewIdent(holds)
			}
		}
		for _, n := range names {
			s.walk(out, pkg, file, typ, strings.TrimPrefix(place+"."+n, "."), depth+1)
		}
	}
}

func imported(file *ast.File, as string) string {
	for _, im := range file.Imports {
		path := text(im.Path)
		if im.Name != nil && im.Name.Name == as || im.Name == nil && strings.HasSuffix(path, "/"+as) {
			return path
		}
	}
	return ""
}

const sealedType = "internal/privacy.Sealed"

// A collection is in the map or among those without personal data; what the map names exists; what it calls encrypted is of the type that cannot
// be written in clear, and nothing else is of that type.
func TestTheMapIsWhatIsStored(t *testing.T) {
	t.Parallel()
	docs := readSource(t).documents(t)
	if len(docs) < 20 {
		t.Fatalf("only %d collections found: the search for them is broken", len(docs))
	}
	known := map[string]bool{}
	for i := range privacy.Fields {
		f := &privacy.Fields[i]
		known[f.Collection] = true
		checkLine(t, f, docs[f.Collection])
	}
	for _, c := range privacy.Impersonal {
		if known[c.Collection] {
			t.Errorf("%s has personal data by the map, and none by the list beside it", c.Collection)
		}
		known[c.Collection] = true
		if docs[c.Collection] == nil {
			t.Errorf("there is no collection %s", c.Collection)
		}
	}
	for coll, fields := range docs {
		if !known[coll] {
			t.Errorf("%s: is there personal data in it? Add it to privacy.Fields or to privacy.Impersonal", coll)
		}
		for place, typ := range fields {
			if f := line(coll, place); typ == sealedType && (f == nil || f.Protection != privacy.Encrypted) {
				t.Errorf("%s %s is sealed, and the map does not say so", coll, place)
			}
		}
	}
}

func checkLine(t *testing.T, f *privacy.Field, doc map[string]string) {
	t.Helper()
	where := f.Collection + " " + f.Name
	if f.Data == "" || f.Purpose == "" || f.Basis == "" || f.Keep == nil || f.Keep.Basis == "" {
		t.Errorf("%s: the map says too little", where)
	}
	typ, ok := doc[f.Name]
	switch {
	case doc == nil:
		t.Errorf("%s: there is no such collection", where)
	case f.Name != privacy.ID && !ok:
		t.Errorf("%s: there is no such field", where)
	case f.Protection == privacy.Encrypted && typ != sealedType:
		t.Errorf("%s is to be encrypted, and is stored as a %s: make it a privacy.Sealed", where, typ)
	case (f.Protection == privacy.Encrypted) != (f.Record != ""):
		t.Errorf("%s: a record's key belongs to encrypted fields, and to no others", where)
	}
	explained := false
	for _, p := range privacy.Protections {
		explained = explained || p.Protection == f.Protection
	}
	if !explained {
		t.Errorf("%s: %q is no protection", where, f.Protection)
	}
	if line(f.Collection, f.Name) != f {
		t.Errorf("%s stands twice", where)
	}
}

func line(coll, place string) *privacy.Field {
	for i := range privacy.Fields {
		if f := &privacy.Fields[i]; f.Collection == coll && f.Name == place {
			return f
		}
	}
	return nil
}

// telling are names of fields that usually hold something about a person.
var telling = regexp.MustCompile(`(^|[._])(name|phone|tel|mobile|e?mail|contact|address|addr|ip|network|agent|login|user|password|totp|token|recovery|by|actor|visitor|device|birth\w*|gender|passport|id_?card|note|free_?text)$|(^|\.)(from|where|seller|what)$`)

// notPersonal are fields with such names that are about no person, and why.
var notPersonal = map[string]string{
	"alert_marks token":        "a place in a feed",
	"search_marks token":       "a place in a feed",
	"warning_marks token":      "a place in a feed",
	"demo summary.seller":      "a firm",
	"notices superseded_by":    "another notice",
	"seller_keys replaced_by":  "another key",
	"authorities bodies.from":  "a day",
	"firms agent":              "a firm",
	"label_prints by":          "a key",
	"units voided.by":          "a key",
	"cold_limits firm.by":      "a firm",
	"cold_limits authority.by": "an authority",
	"cold_records limits.by":   "a firm or an authority",
	"cold_excursions by":       "a firm or an authority",
}

func TestWhatLooksPersonalIsInTheMap(t *testing.T) {
	t.Parallel()
	for coll, fields := range readSource(t).documents(t) {
		for place, typ := range fields {
			if typ != "string" && typ != sealedType || !telling.MatchString(place) || line(coll, place) != nil {
				continue
			}
			if _, ok := notPersonal[coll+" "+place]; !ok {
				t.Errorf("%s %s looks like personal data: add it to privacy.Fields, or say here why it is none", coll, place)
			}
		}
	}
}
