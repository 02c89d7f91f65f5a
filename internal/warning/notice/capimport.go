package notice

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/warning/capalert"
)

// The longest texts that are taken out of a CAP message, in characters; the original has all of them.
const (
	maxTitle = 1000
	maxRisk  = 8000
)

// ImportCAP reads one message of the Common Alerting Protocol, 1.1 or 1.2. An Update or Cancel takes the messages that it references off the
// lists, whichever of them comes in first; a Cancel itself is on none. Importing a message again changes nothing. A message that is valid
// and not meant for the public in earnest (an exercise, a test, a restricted one, an acknowledgement) is rejected in the report. What is no
// valid message is the error of capalert.Decode.
func (s *Service) ImportCAP(ctx context.Context, r io.Reader) (ImportReport, error) {
	return s.importCAP(ctx, r, false)
}

// CheckCAP says what ImportCAP would do, and writes nothing.
func (s *Service) CheckCAP(ctx context.Context, r io.Reader) (ImportReport, error) {
	return s.importCAP(ctx, r, true)
}

func (s *Service) importCAP(ctx context.Context, r io.Reader, dry bool) (ImportReport, error) {
	data, err := io.ReadAll(io.LimitReader(r, capalert.MaxBytes+1))
	if err != nil {
		return ImportReport{}, fmt.Errorf("read the message: %w", err)
	}
	a, err := capalert.Decode(bytes.NewReader(data))
	if err != nil {
		return ImportReport{}, err
	}
	im := &importer{s: s, tell: func(int, int) {}, pending: map[string]Notice{}, report: ImportReport{Read: 1, DryRun: dry}}
	n, err := noticeOf(a, data)
	if err != nil {
		im.reject(err)
		return im.report, nil
	}
	im.pending[n.ID], im.order = n, []string{n.ID}
	im.report.GTINs, im.report.BadBarcodes = len(n.GTINs), len(n.BadBarcodes)
	if err := im.flush(ctx); err != nil || dry {
		return im.report, err
	}
	return im.report, s.supersede(ctx, n)
}

// supersede takes off the lists what n references, and n itself where a message that came before it references it. Each import first stores its
// message and then looks for the other side, so of two at the same time at least one sees both; and a repeated import does it again.
func (s *Service) supersede(ctx context.Context, n Notice) error {
	for _, ref := range n.References {
		if err := s.takeOff(ctx, capID(ref), n.ID); err != nil {
			return err
		}
	}
	p, err := s.notices.Find(ctx, store.Query{Index: indexReference, Eq: store.K(n.Reference), Limit: 1})
	if err != nil {
		return fmt.Errorf("messages about %s: %w", n.ID, err)
	}
	for _, d := range p.Items {
		if err := s.takeOff(ctx, n.ID, d.ID); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) takeOff(ctx context.Context, id, by string) error {
	_, err := s.notices.Update(ctx, id, func(n *Notice) error {
		if n.SupersededBy != "" {
			return errSame
		}
		n.SupersededBy = by
		return nil
	})
	if err != nil && !errors.Is(err, errSame) && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("take %s off the lists: %w", id, err)
	}
	return nil
}

// capID is the ID of the notice of a message. Senders' own identifiers may be of any length.
func capID(reference string) string {
	sum := sha256.Sum256([]byte(reference))
	return CAP + "/" + hex.EncodeToString(sum[:16])
}

func noticeOf(a *capalert.Alert, data []byte) (Notice, error) {
	switch {
	case a.Status != capalert.Actual:
		return Notice{}, fmt.Errorf("the status is %s: not meant in earnest", a.Status)
	case a.Scope != capalert.Public:
		return Notice{}, fmt.Errorf("the scope is %s: not for the public", a.Scope)
	case !slices.Contains([]string{capalert.MsgAlert, capalert.MsgUpdate, capalert.MsgCancel}, a.MsgType):
		return Notice{}, fmt.Errorf("a message of the type %s warns of nothing", a.MsgType)
	}
	original, err := json.Marshal(capOriginal(data))
	if err != nil {
		return Notice{}, fmt.Errorf("keep the original: %w", err)
	}
	key := a.Reference().Key()
	n := Notice{
		ID: capID(key), Source: CAP, Number: cut(a.Identifier, 200), Reference: key, Cancels: a.MsgType == capalert.MsgCancel, Original: original,
	}
	for _, r := range a.References {
		if k := r.Key(); k != key {
			n.References = append(n.References, k)
		}
	}
	n.References = unique(n.References)
	switch i := a.Info("zh", "en"); {
	case i != nil:
		n.Lang = lang.En
		if strings.HasPrefix(strings.ToLower(i.Language), "zh") {
			n.Lang = lang.ZhHans
		}
		n.Title = cut(i.Headline, maxTitle)
		if n.Title == "" {
			n.Title = cut(i.Event, maxTitle)
		}
		n.Risk, n.Category = cut(i.Description, maxRisk), strings.Join(i.Categories, ", ")
	case n.Cancels:
		n.Title = n.Number // a Cancel may say nothing, and nobody reads it
	default:
		return Notice{}, errors.New("the message says nothing: it has no <info>")
	}
	for i := range a.Infos {
		n.take(a.Infos[i].Parameters)
	}
	n.GTINs, n.BadBarcodes, n.Batches = unique(n.GTINs), unique(n.BadBarcodes), unique(n.Batches)
	return n, nil
}

// take reads the parameters that name goods. The standard has no names for them; these are what senders write.
func (n *Notice) take(parameters []capalert.Value) {
	for _, p := range parameters {
		switch strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "").Replace(p.Name)) {
		case "gtin", "gtins", "ean", "upc", "barcode", "barcodes":
			good, bad := splitBarcodes(p.Value)
			n.GTINs, n.BadBarcodes = append(n.GTINs, good...), append(n.BadBarcodes, bad...)
		case "lot", "lots", "batch", "batchnumber", "lotnumber":
			n.Batches = append(n.Batches, splitBatches(p.Value)...)
		case "brand", "brandname":
			n.Brand = cut(strings.TrimSpace(p.Value), 500)
		case "countryoforigin":
			n.Country = cut(strings.TrimSpace(p.Value), 500)
		}
	}
}

// message keeps the bytes of a message as JSON can: as text, or in base64 where they are in another encoding than UTF-8.
type message struct {
	XML    string `json:"xml,omitempty"`
	Base64 []byte `json:"xml_base64,omitempty"`
}

func capOriginal(data []byte) message {
	if utf8.Valid(data) {
		return message{XML: string(data)}
	}
	return message{Base64: data}
}

// cut shortens a text to a number of characters.
func cut(s string, limit int) string {
	n := 0
	for i := range s {
		if n++; n == limit && utf8.RuneCountInString(s) > limit {
			return s[:i] + "…"
		}
	}
	return s
}
