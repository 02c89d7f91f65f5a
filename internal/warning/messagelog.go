package warning

import (
	"context"

	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/store"
)

// KindMessage is the kind of published messages in the transparency log.
const KindMessage = "warning_message"

// MessageLog gives every published message to the transparency log. A message's key is its ID, "{no}/{rev}". All of it but the fan-out,
// which moves, is sealed; the public part is what the public reads, without the names of officers.
type MessageLog struct {
	s   *Service
	eng store.Engine
}

var _ ledger.Source = MessageLog{}

// MessageLog is the source of the service's messages, which are stored in eng.
func (s *Service) MessageLog(eng store.Engine) MessageLog { return MessageLog{s, eng} }

// publicMessage lists the members of a Message that anyone may read. A member that stored messages have must not be added: their leaves were
// made without it.
var publicMessage = []string{
	"no", "rev", "kind", "level", "regime", "hazard", "category", "recall", "title", "advice", "summary", "short_text", "scope", "issuer",
	"document_no", "legal_basis", "reason", "authority", "published",
}

// Kind implements ledger.Source.
func (MessageLog) Kind() string { return KindMessage }

// Wake implements ledger.Source.
func (l MessageLog) Wake() []<-chan struct{} { return []<-chan struct{}{l.s.messages.Wake()} }

// Changes implements ledger.Source.
func (l MessageLog) Changes(ctx context.Context, token string, limit int) (ledger.Page, error) {
	changes, next, err := l.s.messages.Changes(ctx, token, limit)
	p := ledger.Page{Next: next, Last: len(changes) < limit}
	for _, ch := range changes {
		if !ch.Deleted {
			p.Keys = append(p.Keys, ch.ID)
		}
	}
	return p, err
}

// Documents implements ledger.Source. A message is written anew whenever its fan-out moves, so a member that is added to Message must
// leave what is stored as it is: it is omitted when it is empty.
func (l MessageLog) Documents(ctx context.Context, keys []string) (map[string]ledger.Document, error) {
	recs, err := l.eng.Get(ctx, messagesCollection, keys)
	if err != nil {
		return nil, err
	}
	out := make(map[string]ledger.Document, len(recs))
	for _, r := range recs {
		var d ledger.Document
		var ok bool
		if d.Sealed, ok = ledger.Without(r.Body, "fanout"); !ok {
			d.Sealed = r.Body // it is not what was logged, whatever it is
		}
		d.Public, _ = ledger.Pick(r.Body, publicMessage...)
		out[r.ID] = d
	}
	return out, nil
}
