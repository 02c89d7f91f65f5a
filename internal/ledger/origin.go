package ledger

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/store"
)

// StateCollection holds one document: what was published last.
const StateCollection = "ledger_state"

const stateID = "log"

// state is the published end of the log. Its document alone says what a reader may ask for.
type state struct {
	Origin   string            `json:"origin"`
	Size     int64             `json:"size"`
	Root     []byte            `json:"root"`
	Note     string            `json:"checkpoint"`
	At       time.Time         `json:"at"`
	Tokens   map[string]string `json:"tokens,omitempty"` // by kind: how far its feed has leaves
	Fence    int64             `json:"fence,omitempty"`
	Restored bool              `json:"restored,omitempty"` // the store comes from a backup since; see Restored
	Before   []PastOrigin      `json:"before,omitempty"`   // oldest first
}

// PastOrigin is an origin that the log had before a restore.
type PastOrigin struct {
	Origin string    `json:"origin"`
	Size   int64     `json:"size"` // up to which the log has the same leaves
	Ended  time.Time `json:"ended"`
}

// maxOrigins bounds how many past origins are kept.
const maxOrigins = 100

// Restored gives the stored state as a restored store must have it, so that the next Open begins a new origin: nobody knows which
// checkpoints were published after the backup was made, and what comes now will not be what came then. It changes a state once.
func Restored(r store.Record) (store.Record, error) {
	var st state
	if err := json.Unmarshal(r.Body, &st); err != nil {
		return r, fmt.Errorf("ledger: state: %w", err)
	}
	st.Restored = true
	body, err := json.Marshal(st)
	if err != nil {
		return r, fmt.Errorf("ledger: state: %w", err)
	}
	r.Body = body
	return r, nil
}

// begin gives the state of a log that is ready: made, and with an origin of its own. Any number of processes may do so at once.
func (s *Service) begin(ctx context.Context) (store.Doc[state], error) {
	d, err := s.states.Get(ctx, stateID)
	if errors.Is(err, store.ErrNotFound) {
		d = store.Doc[state]{ID: stateID, Rev: 1, V: state{Origin: s.newOrigin(), Root: emptyRoot(), At: s.time()}}
		if err = s.sign(&d.V); err != nil {
			return d, err
		}
		err = s.states.Insert(ctx, stateID, d.V)
		if errors.Is(err, store.ErrExists) {
			d, err = s.states.Get(ctx, stateID)
		}
	}
	if err != nil {
		return d, fmt.Errorf("state: %w", err)
	}
	if d.V.Restored {
		if d, err = s.states.Update(ctx, stateID, s.renew); err != nil {
			return d, fmt.Errorf("begin a new origin: %w", err)
		}
		s.log.WarnContext(ctx, "the store was restored: the log goes on under a new origin", "origin", d.V.Origin, "size", d.V.Size)
	}
	s.progress.update(func(p *progress) { p.size = d.V.Size })
	return d, nil
}

// NewOrigin makes the log another one: the same leaves under a new origin. It is for a store that was put back by means that this program
// does not know of, such as a copy of its file: what was published since is not in it, and must not be contradicted under the same name.
func (s *Service) NewOrigin(ctx context.Context) (Head, error) {
	_, err := s.states.Update(ctx, stateID, func(st *state) error {
		st.Restored = true
		return s.renew(st)
	})
	if err != nil {
		return Head{}, fmt.Errorf("ledger: begin a new origin: %w", err)
	}
	return s.Head(ctx)
}

// renew gives a restored log its new origin. The feeds have begun anew, so their tokens mean nothing.
func (s *Service) renew(st *state) error {
	if !st.Restored { // another process has done it
		return nil
	}
	st.Before = append(st.Before, PastOrigin{Origin: st.Origin, Size: st.Size, Ended: s.time()})
	st.Before = slices.Clone(st.Before[max(0, len(st.Before)-maxOrigins):])
	st.Origin, st.Restored, st.Tokens, st.At = s.newOrigin(), false, nil, s.time()
	return s.sign(st)
}

// newOrigin is an origin that no log had before: a backup may be restored twice.
func (s *Service) newOrigin() string { return s.deps.Name + "/ledger/" + clock.Token(10) }

// time is the present as it is stored.
func (s *Service) time() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// sign makes the checkpoint of a state. It is the same whoever signs it, and however often.
func (s *Service) sign(st *state) error {
	signer, err := newSigner(st.Origin, s.key)
	if err != nil {
		return err
	}
	text := st.Origin + "\n" + strconv.FormatInt(st.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(st.Root) + "\n"
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return fmt.Errorf("sign a checkpoint: %w", err)
	}
	st.Note = string(signed)
	return nil
}

// signer signs notes with a key that is derived, and not kept in the form that package note reads.
type signer struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
}

var _ note.Signer = (*signer)(nil)

func newSigner(origin string, key ed25519.PrivateKey) (*signer, error) {
	vkey, err := verifierKey(origin, key)
	if err != nil {
		return nil, err
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("the key of %s: %w", origin, err)
	}
	return &signer{name: origin, hash: v.KeyHash(), key: key}, nil
}

// verifierKey is what readers check checkpoints with: a line of golang.org/x/mod/sumdb/note.
func verifierKey(origin string, key ed25519.PrivateKey) (string, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("no Ed25519 key")
	}
	vkey, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return "", fmt.Errorf("the key of %s: %w", origin, err)
	}
	return vkey, nil
}

// Name implements note.Signer.
func (s *signer) Name() string { return s.name }

// KeyHash implements note.Signer.
func (s *signer) KeyHash() uint32 { return s.hash }

// Sign implements note.Signer.
func (s *signer) Sign(msg []byte) ([]byte, error) {
	return s.key.Sign(rand.Reader, msg, &ed25519.Options{})
}
