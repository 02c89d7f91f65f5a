package warning

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// numberPrefix begins every warning number: the province's code.
const numberPrefix = "HN"

func formatNo(year, seq int) string { return fmt.Sprintf("%s-%04d-%06d", numberPrefix, year, seq) }

// beijing is China Standard Time, which has no summer time: warnings are numbered by the calendar year there.
var beijing = time.FixedZone("Asia/Shanghai", 8*60*60)

// Draft is a warning that is not published yet.
type Draft struct {
	DraftDoc
	Revision int64 `json:"revision"` // what UpdateDraft wants back
}

// DraftDoc is a draft as it is stored. Once sealed it never changes but for Seal.Done.
type DraftDoc struct {
	No        string `json:"no"`
	Content   `json:"content"`
	By        string    `json:"by"` // who changed it last
	ByName    string    `json:"by_name,omitempty"`
	Authority string    `json:"authority"`
	Created   time.Time `json:"created"`
	Updated   time.Time `json:"updated"`
	Nonce     string    `json:"nonce"` // by which its maker knows it
	Seal      *Seal     `json:"seal,omitempty"`
}

// Seal is the order to publish. It freezes the draft, so nobody's edit is lost between reading and publishing, and it is carried out
// by whoever comes first: the officer's own request, a retry, or the worker.
type Seal struct {
	By       string    `json:"by"`
	ByName   string    `json:"by_name,omitempty"`
	Second   string    `json:"second,omitempty"` // who approved it
	Acting   string    `json:"acting,omitempty"` // see Message.Acting
	At       time.Time `json:"at"`
	Key      string    `json:"key"`      // of the message that it becomes
	Revision int64     `json:"revision"` // of the draft that is to be published
	Done     bool      `json:"done"`     // the message is published
}

const (
	indexYear   = "year"   // the numbers of a year, in order
	indexEdit   = "edit"   // drafts that are not published, by authority, latest change last
	indexSealed = "sealed" // ordered published, not known to be
)

func draftsDef() store.Def[DraftDoc] {
	return store.Def[DraftDoc]{
		Name: "warning_drafts",
		Indexes: []store.Index[DraftDoc]{
			{Name: indexYear, Version: "1", Keys: func(_ string, d *DraftDoc) ([]store.Key, store.Key) {
				year, seq, _ := parseNo(d.No)
				return []store.Key{store.K(year)}, store.K(seq)
			}},
			{Name: indexEdit, Version: "1", Keys: func(_ string, d *DraftDoc) ([]store.Key, store.Key) {
				if d.Seal != nil {
					return nil, nil
				}
				return []store.Key{store.K(d.Authority)}, store.K(d.Updated)
			}},
			{Name: indexSealed, Version: "1", Keys: func(_ string, d *DraftDoc) ([]store.Key, store.Key) {
				if d.Seal == nil || d.Seal.Done {
					return nil, nil
				}
				return []store.Key{store.K()}, store.K(d.Seal.At)
			}},
		},
	}
}

// maxNumberTries bounds the search for a free number: with n officers who create at once, each loses at most n-1 rounds.
const maxNumberTries = 1000

// Create makes a draft under a new number. The unique insert of the draft decides who has the number. Invalid, Forbidden, and what
// by.May answers for ActionDraft.
func (s *Service) Create(ctx context.Context, by Author, c Content) (Draft, error) {
	if by.ID == "" || by.Authority == "" {
		return Draft{}, fault.New(fault.Forbidden, "no_authority", "warnings are drafted for an authority")
	}
	c, err := c.Normalized("")
	if err != nil {
		return Draft{}, err
	}
	if err := by.may(ActionDraft, graver(&c, &c), c.Category); err != nil {
		return Draft{}, err
	}
	now := s.time()
	d := DraftDoc{
		Content: c, By: by.ID, ByName: by.Name, Authority: by.Authority, Created: now, Updated: now, Nonce: clock.Token(10),
	}
	year := now.In(beijing).Year()
	seq, err := s.lastNumber(ctx, year)
	if err != nil {
		return Draft{}, err
	}
	for range maxNumberTries {
		seq++
		d.No = formatNo(year, seq)
		err := s.drafts.Insert(ctx, d.No, d)
		if errors.Is(err, store.ErrExists) {
			if stored, getErr := s.drafts.Get(ctx, d.No); getErr != nil || stored.V.Nonce != d.Nonce {
				continue
			}
			err = nil // the store had tried twice and met its own first try
		}
		if err != nil {
			return Draft{}, fmt.Errorf("insert draft: %w", err)
		}
		return Draft{DraftDoc: d, Revision: 1}, nil
	}
	return Draft{}, fmt.Errorf("no free warning number after %s", d.No)
}

func (s *Service) lastNumber(ctx context.Context, year int) (int, error) {
	p, err := s.drafts.Find(ctx, store.Query{Index: indexYear, Eq: store.K(year), Desc: true, Limit: 1})
	if err != nil {
		return 0, fmt.Errorf("last number of %d: %w", year, err)
	}
	if len(p.Items) == 0 {
		return 0, nil
	}
	_, seq, _ := parseNo(p.Items[0].ID)
	return seq, nil
}

// Draft gives a draft, published or not (see Seal), of whatever authority: the caller shows it to officers of that one only. NotFound.
func (s *Service) Draft(ctx context.Context, no string) (Draft, error) {
	if !validNo(no) {
		return Draft{}, errUnknown(no)
	}
	d, err := s.drafts.Get(ctx, no)
	if errors.Is(err, store.ErrNotFound) {
		return Draft{}, errUnknown(no)
	}
	if err != nil {
		return Draft{}, fmt.Errorf("read draft %s: %w", no, err)
	}
	return Draft{DraftDoc: d.V, Revision: d.Rev}, nil
}

// Drafts gives the drafts that are not published of an authority and of those for which it acts, the latest change first. Malformed for a
// bad cursor.
func (s *Service) Drafts(ctx context.Context, authority, cursor string, limit int) (drafts []Draft, next string, err error) {
	q := store.Query{Index: indexEdit, Eq: store.K(authority), Desc: true, Cursor: cursor, Limit: pageSize(limit)}
	if s.bodies != nil {
		line, err := s.bodies.Line(ctx, authority)
		if err != nil {
			return nil, "", err
		}
		for _, id := range line {
			if id != authority {
				q.Or = append(q.Or, store.K(id))
			}
		}
	}
	p, err := s.drafts.Find(ctx, q)
	if err != nil {
		return nil, "", listError(err)
	}
	for _, d := range p.Items {
		drafts = append(drafts, Draft{DraftDoc: d.V, Revision: d.Rev})
	}
	return drafts, p.Next, nil
}

// UpdateDraft replaces a draft's content if nobody changed it since revision. Invalid; NotFound, also for a draft of another authority;
// Conflict (draft_changed, draft_published); and what by.May answers for ActionDraft, on the class before and the one after.
func (s *Service) UpdateDraft(ctx context.Context, by Author, no string, revision int64, c Content) (Draft, error) {
	c, err := c.Normalized("")
	if err != nil {
		return Draft{}, err
	}
	d, err := s.draftOf(ctx, by, no)
	if err != nil {
		return Draft{}, err
	}
	if d.Seal != nil {
		return Draft{}, errDraftPublished(no)
	}
	if d.Revision != revision {
		return Draft{}, errDraftChanged(&d)
	}
	// The replace below succeeds only over the revision that is asked about here.
	if err := by.may(ActionDraft, graver(&d.Content, &c), classes(&d.Content, &c)...); err != nil {
		return Draft{}, err
	}
	d.Content, d.By, d.ByName, d.Updated = c, by.ID, by.Name, s.time()
	err = s.drafts.Replace(ctx, store.Doc[DraftDoc]{ID: no, Rev: d.Revision, V: d.DraftDoc})
	if errors.Is(err, store.ErrConflict) {
		return Draft{}, errDraftChanged(&d)
	}
	if err != nil {
		return Draft{}, fmt.Errorf("replace draft %s: %w", no, err)
	}
	d.Revision++
	return d, nil
}

// classes are the product classes of two contents, each once.
func classes(a, b *Content) []string {
	if a.Category == b.Category {
		return []string{a.Category}
	}
	return []string{a.Category, b.Category}
}

func errDraftPublished(no string) error {
	return fault.New(fault.Conflict, "draft_published", "warning %s is published; amend it instead", no)
}

func errDraftChanged(d *Draft) error {
	return fault.New(fault.Conflict, "draft_changed",
		"draft %s was changed meanwhile, last seen by %s; read it again and put your changes into it", d.No, d.ByName)
}
