package authority

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/warning"
)

// beijing is the civil time of the province, which has no summer time.
var beijing = time.FixedZone("Asia/Shanghai", 8*60*60)

func dayOf(t time.Time) string { return t.In(beijing).Format(time.DateOnly) }

// Query asks who is competent. What is empty is not known, and is answered by a competence that is not restricted in it.
type Query struct {
	Matter string // a code of Matters; required
	Class  string // a product category
	Stage  string // a code of Stages
	Place  string // GB/T 2260, 2, 4 or 6 digits
	On     time.Time
}

// rank orders competences by how specific they are, the most specific last. The matter counts first, since a law for one matter names
// its body whatever the goods; then the stage, where customs and market regulation divide; then the goods; then the place, since a city's
// body is competent for what no other body is charged with.
type rank [4]int

func (c *Competence) rank(place string) rank {
	named := func(list []string) int { return min(len(list), 1) }
	return rank{named(c.Matters), named(c.Stages), named(c.Classes), len(place)}
}

func (r rank) compare(o rank) int { return slices.Compare(r[:], o[:]) }

// match gives the rank with which a competence covers a query.
func (c *Competence) match(q *Query) (rank, bool) {
	in := func(list []string, code string) bool { return len(list) == 0 || slices.Contains(list, code) }
	if !in(c.Matters, q.Matter) || !in(c.Classes, q.Class) || !in(c.Stages, q.Stage) {
		return rank{}, false
	}
	if len(c.Places) == 0 {
		return c.rank(""), true
	}
	best := ""
	for _, p := range c.Places {
		if strings.HasPrefix(q.Place, p) && len(p) > len(best) {
			best = p
		}
	}
	return c.rank(best), best != ""
}

func (a *Authority) exists(day string) bool { return a.From <= day && (a.To == "" || day < a.To) }

// competent gives the body with the most specific competence. Put lets no two be equally competent; were they, because the data
// came another way, the smaller ID would have it.
func (sn *snapshot) competent(q *Query, day string) (*Authority, bool) {
	var best *Authority
	var top rank
	for i := range sn.bodies {
		a := &sn.bodies[i]
		if !a.exists(day) {
			continue
		}
		for j := range a.Competences {
			r, ok := a.Competences[j].match(q)
			if ok && (best == nil || r.compare(top) > 0) {
				best, top = a, r
			}
		}
	}
	return best, best != nil
}

// Competent gives the body that is competent: of all whose competence covers the query on that day, the one with the most specific. A named
// matter counts more than a named stage, that more than named classes, and these more than the finer place.
// NotFound (no_competent_authority), Invalid, Unavailable.
func (s *Service) Competent(ctx context.Context, q Query) (Authority, error) {
	if err := q.check(); err != nil {
		return Authority{}, err
	}
	sn, err := s.fresh(ctx)
	if err != nil {
		return Authority{}, err
	}
	a, ok := sn.competent(&q, dayOf(q.On))
	if !ok {
		return Authority{}, fault.New(fault.NotFound, "no_competent_authority", "no authority is competent for this")
	}
	return *a, nil
}

func (q *Query) check() error {
	var fields []fault.Field
	add := func(bad bool, pointer, code, detail string) {
		if bad {
			fields = append(fields, fault.Field{Pointer: pointer, Code: code, Detail: detail})
		}
	}
	add(!slices.Contains(Matters, q.Matter), "/matter", "unknown_code", "one of: "+strings.Join(Matters, ", "))
	add(q.Class != "" && !knownClass(q.Class), "/class", "unknown_code", "this is no product category")
	add(q.Stage != "" && !slices.Contains(Stages, q.Stage), "/stage", "unknown_code", "one of: "+strings.Join(Stages, ", "))
	add(q.Place != "" && !validPlace(q.Place), "/place", "place_code", "2, 4 or 6 digits of a place in China (GB/T 2260)")
	add(q.On.IsZero(), "/on", "required", "on which day")
	if fields != nil {
		return fault.InvalidFields(fields...)
	}
	return nil
}

func knownClass(code string) bool {
	return slices.ContainsFunc(warning.Categories, func(t warning.Term) bool { return t.Code == code })
}

// placePattern begins with the code of a province, autonomous region, municipality or special region.
var placePattern = regexp.MustCompile(`^(1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[12])([0-9]{2}){0,2}$`)

func validPlace(code string) bool { return placePattern.MatchString(code) }

// acting follows the succession. Every step leads to a body that exists on the day when the one before ended, so the days grow and
// the walk ends; the bound is for data that came another way.
func (sn *snapshot) acting(id, day string) (*Authority, error) {
	a, ok := sn.byID[id]
	if !ok {
		return nil, errUnknown(id)
	}
	for range len(sn.bodies) {
		if a.exists(day) {
			return a, nil
		}
		next, ok := sn.byID[a.Successor]
		if day < a.From || !ok {
			break
		}
		a = next
	}
	return nil, fault.New(fault.NotFound, "authority_not_acting", "neither authority %s nor a successor acts on %s", id, day)
}

// Acting gives the body that acts for a body on a day: itself while it exists, then its successor, and so on.
// NotFound (authority_unknown; authority_not_acting before its first day, and after the last where it has no successor), Unavailable.
func (s *Service) Acting(ctx context.Context, id string, on time.Time) (Authority, error) {
	sn, err := s.fresh(ctx)
	if err != nil {
		return Authority{}, err
	}
	a, err := sn.acting(id, dayOf(on))
	if err != nil {
		return Authority{}, err
	}
	return *a, nil
}

// ActingID is Acting today, for what hangs on an ID. Errors as Acting.
func (s *Service) ActingID(ctx context.Context, id string) (string, error) {
	a, err := s.Acting(ctx, id, s.now())
	return a.ID, err
}

// Line gives a body's ID and those of all bodies for which it acts today: its queues hold what is theirs. An unknown ID is
// given alone. Unavailable.
func (s *Service) Line(ctx context.Context, id string) ([]string, error) {
	sn, err := s.fresh(ctx)
	if err != nil {
		return nil, err
	}
	ids, day := []string{id}, dayOf(s.now())
	for i := range sn.bodies {
		b := &sn.bodies[i]
		if b.ID == id || b.exists(day) {
			continue
		}
		if a, err := sn.acting(b.ID, day); err == nil && a.ID == id {
			ids = append(ids, b.ID)
		}
	}
	return ids, nil
}

// Competence gives the body that acts for a body today, and the product classes that it may warn of: those for which it is the
// competent one in at least one stage and place. A body that is charged with no warnings has none; AllClasses alone stands for all.
// Errors as Acting.
func (s *Service) Competence(ctx context.Context, id string) (actingID string, classes []string, err error) {
	sn, err := s.fresh(ctx)
	if err != nil {
		return "", nil, err
	}
	day := dayOf(s.now())
	a, err := sn.acting(id, day)
	if err != nil {
		return "", nil, err
	}
	return a.ID, slices.Clone(sn.competence(a, day)), nil
}

// competence is computed once per snapshot, body and day.
func (sn *snapshot) competence(a *Authority, day string) []string {
	key := a.ID + "/" + day
	sn.mu.Lock()
	defer sn.mu.Unlock()
	if classes, ok := sn.classes[key]; ok {
		return classes
	}
	var classes []string
	for _, t := range warning.Categories {
		if sn.competentSomewhere(a, t.Code, day) {
			classes = append(classes, t.Code)
		}
	}
	if len(classes) == len(warning.Categories) {
		classes = []string{AllClasses}
	}
	if len(sn.classes) > 2*len(sn.bodies) { // yesterday's
		clear(sn.classes)
	}
	sn.classes[key] = classes
	return classes
}

// competentSomewhere asks for the stages and places that the body's own competences name: if a more specific one of another body takes
// each of these away, nothing is left of them but places within, which count as not charged.
func (sn *snapshot) competentSomewhere(a *Authority, class, day string) bool {
	orAny := func(list []string, anyOf ...string) []string {
		if len(list) == 0 {
			return anyOf
		}
		return list
	}
	for i := range a.Competences {
		c := &a.Competences[i]
		for _, stage := range orAny(c.Stages, append([]string{""}, Stages...)...) {
			for _, place := range orAny(c.Places, "") {
				q := Query{Matter: MatterWarning, Class: class, Stage: stage, Place: place}
				if got, ok := sn.competent(&q, day); ok && got == a {
					return true
				}
			}
		}
	}
	return false
}
