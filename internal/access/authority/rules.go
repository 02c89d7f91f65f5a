package authority

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
)

// Bounds of the register. They keep it below the store's 1 MiB, and an answer below a millisecond.
const (
	maxBodies      = 300
	maxCompetences = 20
	maxPlaces      = 60
	maxName        = 120 // characters in each language
	maxBasis       = 300 // characters
)

var idPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,39}$`)

//go:embed authorities.json
var builtIn []byte

// BuiltIn gives the bodies that the program carries: those of Hainan, with the ones that were merged in 2018. Successors come before
// the bodies that they follow.
func BuiltIn() ([]Authority, error) {
	dec := json.NewDecoder(bytes.NewReader(builtIn))
	dec.DisallowUnknownFields()
	var list []Authority
	if err := dec.Decode(&list); err != nil {
		return nil, fmt.Errorf("built-in authorities: %w", err)
	}
	return list, nil
}

// normalized is a copy that shares nothing with a, with every list in order and each entry once.
func (a *Authority) normalized() Authority {
	n := *a
	n.Name = lang.Text{}
	for tag, s := range a.Name {
		if s = strings.TrimSpace(s); s != "" {
			n.Name[tag] = s
		}
	}
	n.Basis = strings.TrimSpace(n.Basis)
	n.Competences = slices.Clone(n.Competences)
	for i := range n.Competences {
		c := &n.Competences[i]
		for _, list := range []*[]string{&c.Matters, &c.Classes, &c.Stages, &c.Places} {
			sorted := slices.Sorted(slices.Values(*list))
			*list = slices.Compact(sorted)
			if len(*list) == 0 {
				*list = nil
			}
		}
	}
	if len(n.Competences) == 0 {
		n.Competences = nil
	}
	return n
}

// same compares bodies but for their revision.
func (a *Authority) same(b *Authority) bool {
	x, y := *a, *b
	x.Revision, y.Revision = 0, 0
	return reflect.DeepEqual(x, y)
}

// faults gathers broken rules.
type faults []fault.Field

func (f *faults) add(bad bool, pointer, code, format string, args ...any) {
	if bad {
		*f = append(*f, fault.Field{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...)})
	}
}

func (f *faults) err() error {
	if len(*f) == 0 {
		return nil
	}
	return fault.InvalidFields(*f...)
}

// check holds a body to what can be said of it alone.
func (a *Authority) check() error {
	var f faults
	f.add(!idPattern.MatchString(a.ID), "/id", "authority_id", "2 to 40 of a-z, 0-9 and '-'")
	f.add(!slices.Contains(Kinds, a.Kind), "/kind", "unknown_code", "one of: %s", strings.Join(Kinds, ", "))
	for _, tag := range []string{lang.ZhHans, lang.En} {
		f.add(a.Name[tag] == "", "/name/"+tag, "required", "the name is required in Chinese and in English")
		f.add(!printable(a.Name[tag], maxName), "/name/"+tag, "text", "at most %d characters, none of them control characters", maxName)
	}
	for _, tag := range slices.Sorted(maps.Keys(a.Name)) {
		f.add(!lang.Valid(tag), "/name", "unknown_language", "texts are in %s and %s", lang.ZhHans, lang.En)
	}
	f.add(!printable(a.Basis, maxBasis), "/basis", "text", "at most %d characters, none of them control characters", maxBasis)
	isDay := func(s string) bool {
		_, err := time.Parse(time.DateOnly, s)
		return s == "" || err == nil
	}
	f.add(!isDay(a.From), "/from", "date", "a day of the calendar as YYYY-MM-DD")
	f.add(!isDay(a.To), "/to", "date", "a day of the calendar as YYYY-MM-DD")
	f.add(a.To != "" && a.To <= a.From, "/to", "date_order", "the body must exist for a day at least")
	f.add(a.Successor != "" && a.To == "", "/to", "required", "a body with a successor ends on the day when that takes over")
	f.add(a.Successor == a.ID && a.ID != "", "/successor", "circle", "no body succeeds itself")
	f.add(len(a.Competences) > maxCompetences, "/competences", "too_many", "at most %d", maxCompetences)
	for i := range a.Competences {
		a.Competences[i].check(&f, fmt.Sprintf("/competences/%d", i))
	}
	return f.err()
}

func (c *Competence) check(f *faults, at string) {
	all := func(list []string, ok func(string) bool, pointer, code, detail string) {
		f.add(slices.ContainsFunc(list, func(s string) bool { return !ok(s) }), at+pointer, code, "%s", detail)
	}
	in := func(known []string) func(string) bool {
		return func(s string) bool { return slices.Contains(known, s) }
	}
	all(c.Matters, in(Matters), "/matters", "unknown_code", "of: "+strings.Join(Matters, ", "))
	all(c.Stages, in(Stages), "/stages", "unknown_code", "of: "+strings.Join(Stages, ", "))
	all(c.Classes, knownClass, "/classes", "unknown_code", "product categories")
	all(c.Places, validPlace, "/places", "place_code", "the first 2, 4 or 6 digits of the code of a place in China (GB/T 2260)")
	f.add(len(c.Places) > maxPlaces, at+"/places", "too_many", "at most %d", maxPlaces)
}

func printable(s string, most int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
	})
}

// checkAmong holds all bodies to what they owe each other, after the one with this ID was changed.
func checkAmong(bodies []Authority, changed string) error {
	var f faults
	f.add(len(bodies) > maxBodies, "/id", "too_many", "at most %d authorities", maxBodies)
	byID := make(map[string]*Authority, len(bodies))
	for i := range bodies {
		byID[bodies[i].ID] = &bodies[i]
	}
	a := byID[changed]
	a.checkSuccessor(&f, byID)
	for i := range bodies {
		b := &bodies[i]
		if b.ID == changed {
			continue
		}
		f.add(b.Successor == changed && !a.exists(b.To), "/from", "date_order", "it must exist on %s, when it follows %s", b.To, b.ID)
		if a.overlaps(b) {
			a.checkTies(&f, b)
		}
	}
	return f.err()
}

// checkSuccessor wants a successor that exists on the day when the body ends. This alone forbids circles, since along a succession
// the last days grow; the walk is there to tell a circle from a wrong day.
func (a *Authority) checkSuccessor(f *faults, byID map[string]*Authority) {
	if a.Successor == "" {
		return
	}
	s, ok := byID[a.Successor]
	if !ok {
		f.add(true, "/successor", "authority_unknown", "there is no authority %q", a.Successor)
		return
	}
	for next, steps := s, 0; next != nil && steps <= len(byID); next, steps = byID[next.Successor], steps+1 {
		if next == a {
			f.add(true, "/successor", "circle", "%s is a successor of this body itself", a.ID)
			return
		}
	}
	f.add(!s.exists(a.To), "/successor", "date_order", "%s does not exist on %s, when it would take over", s.ID, a.To)
}

// overlaps says whether two bodies exist on a same day.
func (a *Authority) overlaps(b *Authority) bool {
	return (a.To == "" || b.From < a.To) && (b.To == "" || a.From < b.To)
}

// checkTies refuses a competence with which two bodies would be equally competent. Two competences of one rank restrict the same
// things, so they meet if and only if they have something in common in each of them.
func (a *Authority) checkTies(f *faults, b *Authority) {
	for i := range a.Competences {
		for j := range b.Competences {
			if a.Competences[i].ties(&b.Competences[j]) {
				f.add(true, fmt.Sprintf("/competences/%d", i), "equally_competent",
					"%s would be equally competent on the same days; say more exactly what each is competent for", b.ID)
				break
			}
		}
	}
}

func (c *Competence) ties(d *Competence) bool {
	meet := func(a, b []string) bool {
		return len(a) == 0 && len(b) == 0 || slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
	}
	// Places are compared whole: where one is within the other, the finer one is more specific.
	return meet(c.Matters, d.Matters) && meet(c.Classes, d.Classes) && meet(c.Stages, d.Stages) && meet(c.Places, d.Places)
}
