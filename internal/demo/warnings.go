package demo

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/warning"
)

//go:embed data/warnings.json
var warningTable []byte

// alarm is a row of the warning table. Days count backwards from the base day; clocks are those of China.
type alarm struct {
	Key      string        `json:"key"`
	Day      int           `json:"day"`
	Clock    string        `json:"clock"`
	Level    warning.Level `json:"level"`
	Regime   string        `json:"regime"`
	Hazard   string        `json:"hazard"`
	Category string        `json:"category"`
	Recall   bool          `json:"recall"`
	Title    lang.Text     `json:"title"`
	Advice   lang.Text     `json:"advice"`
	Summary  lang.Text     `json:"summary"`
	Short    lang.Text     `json:"short"`
	Scope    []reach       `json:"scope"`
	Then     []followUp    `json:"then"`
}

// reach is a clause of a scope, in terms of the lots of the product table.
type reach struct {
	Product string   `json:"product"`
	Lots    []int    `json:"lots"`    // these lots
	Made    []int    `json:"made"`    // made from the day of the first to the day of the second lot
	Serials []int    `json:"serials"` // from the first serial of the first to the last serial of the second lot
	Printed []string `json:"printed"` // lots that nobody registered
}

// followUp is what an officer published later about the same warning.
type followUp struct {
	Kind   warning.MessageKind `json:"kind"`
	Day    int                 `json:"day"`
	Clock  string              `json:"clock"`
	Level  warning.Level       `json:"level"`
	Recall bool                `json:"recall"`
	Reason lang.Text           `json:"reason"`
}

func readAlarms() ([]alarm, error) {
	dec := json.NewDecoder(bytes.NewReader(warningTable))
	dec.DisallowUnknownFields()
	var out []alarm
	if err := dec.Decode(&out); err != nil {
		return nil, fmt.Errorf("warning table: %w", err)
	}
	return out, nil
}

// issuers and bases name who may warn under each regime, and by which law. The bodies are marked as demonstration.
var (
	issuers = map[string]lang.Text{
		"food":           lang.ZhEn("海南省市场监督管理局（演示）", "Hainan Administration for Market Regulation (demonstration)"),
		"product":        lang.ZhEn("海南省市场监督管理局（演示）", "Hainan Administration for Market Regulation (demonstration)"),
		"cosmetic":       lang.ZhEn("海南省药品监督管理局（演示）", "Hainan Medical Products Administration (demonstration)"),
		"medical_device": lang.ZhEn("海南省药品监督管理局（演示）", "Hainan Medical Products Administration (demonstration)"),
	}
	bases = map[string]string{
		"food": "《中华人民共和国食品安全法》", "product": "《消费品召回管理暂行规定》",
		"cosmetic": "《化妆品监督管理条例》", "medical_device": "《医疗器械监督管理条例》",
	}
)

// documentNo numbers the documents of the demonstration. It is also how a repeated load knows what is there already.
func documentNo(i int) string { return fmt.Sprintf("演示预警第 %02d 号", i+1) }

func (w *world) content(i int, a *alarm) (warning.Content, error) {
	c := warning.Content{
		Level: a.Level, Regime: a.Regime, Hazard: a.Hazard, Category: a.Category, Recall: a.Recall, Title: a.Title, Advice: a.Advice,
		Summary: a.Summary, ShortText: a.Short, Issuer: issuers[a.Regime], DocumentNo: documentNo(i), LegalBasis: bases[a.Regime],
	}
	for _, r := range a.Scope {
		clause, err := w.clause(r)
		if err != nil {
			return c, fmt.Errorf("warning %s: %w", a.Key, err)
		}
		c.Scope.Clauses = append(c.Scope.Clauses, clause)
	}
	return c, nil
}

func (w *world) clause(r reach) (warning.Clause, error) {
	p := w.products[r.Product]
	if p == nil {
		return warning.Clause{}, fmt.Errorf("there is no product %q", r.Product)
	}
	c := warning.Clause{GTINs: []string{string(p.GTIN)}, Lots: r.Printed}
	var lots []*lot
	for _, numbers := range [][]int{r.Lots, r.Made, r.Serials} {
		for _, n := range numbers {
			l := w.lot(r.Product, n)
			if l == nil {
				return c, fmt.Errorf("product %s has no lot %d", r.Product, n)
			}
			lots = append(lots, l)
		}
	}
	switch {
	case len(r.Lots) > 0:
		for _, l := range lots {
			c.Lots = append(c.Lots, l.Lot.Lot)
		}
	case len(r.Made) == 2:
		c.ProducedFrom, c.ProducedTo = lots[0].Produced, lots[1].Produced
	case len(r.Serials) == 2:
		first, last := lots[0].ownSerials(), lots[1].ownSerials()
		c.SerialFrom, c.SerialTo = first[0].Serial, last[len(last)-1].Serial
	}
	return c, nil
}

// dial is a clock that stands where it is set. The warnings of the demonstration were published on different days, and their
// numbers and times should say so.
type dial struct {
	mu sync.Mutex
	t  time.Time
}

func (d *dial) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.t = t
}

func (d *dial) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.t
}

// press publishes warnings as an officer would have on the days before.
type press struct {
	*warning.Service
	*world
	by    warning.Author
	clock *dial
	known map[string]string // document number → warning number
}

// publishAll creates what is not there yet, and brings every warning to where the table wants it. It may be repeated.
func publishAll(ctx context.Context, eng store.Engine, w *world, by warning.Author) (int, error) {
	alarms, err := readAlarms()
	if err != nil {
		return 0, err
	}
	clock := &dial{t: w.base}
	s, err := warning.Open(ctx, eng, warning.Options{Now: clock.now})
	if err != nil {
		return 0, err
	}
	p := &press{Service: s, world: w, by: by, clock: clock, known: map[string]string{}}
	if err := p.survey(ctx); err != nil {
		return 0, err
	}
	for i := range alarms {
		if err := p.publish(ctx, i, &alarms[i]); err != nil {
			return i, fmt.Errorf("warning %s: %w", alarms[i].Key, err)
		}
	}
	return len(alarms), nil
}

// survey finds the warnings of a load that did not end: orders to publish are carried out first, then every warning is either a
// draft or published.
func (p *press) survey(ctx context.Context) error {
	if err := p.Repair(ctx); err != nil {
		return err
	}
	for cursor := ""; ; {
		drafts, next, err := p.Drafts(ctx, p.by.Authority, cursor, 100)
		if err != nil {
			return err
		}
		for _, d := range drafts {
			p.known[d.DocumentNo] = d.No
		}
		if cursor = next; next == "" {
			break
		}
	}
	return p.All(ctx, func(st warning.State) error {
		if st.Authority == p.by.Authority {
			p.known[st.Current.DocumentNo] = st.No
		}
		return nil
	})
}

func (p *press) publish(ctx context.Context, i int, a *alarm) error {
	if err := p.turn(a.Day, a.Clock); err != nil {
		return err
	}
	no := p.known[documentNo(i)]
	if no == "" {
		c, err := p.content(i, a)
		if err != nil {
			return err
		}
		d, err := p.Create(ctx, p.by, c)
		if err != nil {
			return err
		}
		no = d.No
	}
	m, err := p.Publish(ctx, p.by, no)
	if err != nil {
		return err
	}
	for n, f := range a.Then {
		if err := p.turn(f.Day, f.Clock); err != nil {
			return err
		}
		if m, err = p.follow(ctx, no, &m, fmt.Sprintf("%s/%d", a.Key, n), &f); err != nil {
			return err
		}
	}
	return nil
}

// follow publishes what came later. The key makes a repetition find the message of the first time.
func (p *press) follow(ctx context.Context, no string, before *warning.Message, key string, f *followUp) (warning.Message, error) {
	change := warning.Change{Reason: f.Reason, Key: "demo/" + key}
	switch f.Kind {
	case warning.KindLift:
		return p.Lift(ctx, p.by, no, change)
	case warning.KindRetract:
		return p.Retract(ctx, p.by, no, change)
	}
	c := before.Content
	c.Level, c.Recall = f.Level, f.Recall
	return p.Amend(ctx, p.by, no, warning.Amendment{Change: change, Content: &c})
}

// turn sets the clock to a time of day in China, some days before the base day.
func (p *press) turn(daysBefore int, clock string) error {
	t, err := time.Parse("15:04", clock)
	if err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	p.clock.set(p.at(-daysBefore, hour(t.Hour(), t.Minute()), china))
	return nil
}
