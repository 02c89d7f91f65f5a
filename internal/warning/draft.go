package warning

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/number"
	"github.com/haisu-trace/haisu/internal/store"
)

// numbers is the series of warnings: the province's code.
const numbers = number.Series("HN")

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
			number.Index(indexYear, numbers, func(d *DraftDoc) string { return d.No }),
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

// maxSealTries bounds the tries to seal a draft that others change at the same time.
const maxSealTries = 1000

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
	_, err = number.Issue(ctx, s.drafts, indexYear, numbers, now, func(no string) (taken bool, err error) {
		d.No = no
		err = s.drafts.Insert(ctx, no, d)
		if errors.Is(err, store.ErrExists) {
			stored, err := s.drafts.Get(ctx, no)
			// With our nonce the store had tried twice and met its own first try.
			return stored.V.Nonce != d.Nonce, err
		}
		if err != nil {
			return false, fmt.Errorf("insert draft: %w", err)
		}
		return false, nil
	})
	if err != nil {
		return Draft{}, err
	}
	return Draft{DraftDoc: d, Revision: 1}, nil
}

// Draft gives a draft, published or not (see Seal), of whatever authority: the caller shows it to officers of that one only. NotFound.
func (s *Service) Draft(ctx context.Context, no string) (Draft, error) {
	if !numbers.Valid(no) {
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
