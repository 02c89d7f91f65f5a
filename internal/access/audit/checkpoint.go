package audit

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

// Checkpoint says how far the trail had come. An auditor keeps it where nobody who can write to the database can: what is removed from the end
// of the trail leaves no other trace. It holds nothing secret.
type Checkpoint struct {
	Seq  int64     `json:"seq"`  // of the last entry; 0 for an empty trail
	Hash string    `json:"hash"` // of that entry; of an empty trail the genesis
	At   time.Time `json:"at"`   // when the checkpoint was made
	MAC  string    `json:"mac"`  // by which the installation knows its own
}

// checkpoint makes a checkpoint of an entry of the trail.
func (s *Service) checkpoint(seq int64, hash string) Checkpoint {
	c := Checkpoint{Seq: seq, Hash: hash, At: s.now().UTC().Truncate(time.Millisecond)}
	c.MAC = c.mac(s.keys)
	return c
}

func (c *Checkpoint) mac(k Keyer) string {
	return k.Hash("audit.checkpoint", fmt.Sprintf("%d\n%s\n%d", c.Seq, c.Hash, c.At.UnixMilli()))
}

// genuine says whether this installation made it.
func (c *Checkpoint) genuine(k Keyer) bool { return hmac.Equal([]byte(c.mac(k)), []byte(c.MAC)) }

// Checkpoint gives the trail's end as the store has it. It checks nothing: Verify does, and gives one too.
func (s *Service) Checkpoint(ctx context.Context) (Checkpoint, error) {
	b, err := s.lastBatch(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return s.checkpoint(0, s.genesis.String()), nil
	}
	if err != nil {
		return Checkpoint{}, err
	}
	return s.checkpoint(b.Last, b.Entries[len(b.Entries)-1].Hash), nil
}

// lastBatch gives the newest batch in the index. store.ErrNotFound for an empty trail.
func (s *Service) lastBatch(ctx context.Context) (*batch, error) {
	p, err := s.batches.Find(ctx, store.Query{Index: byPosition, Eq: store.K(), Desc: true, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(p.Items) == 0 {
		return nil, fmt.Errorf("audit: no batch: %w", store.ErrNotFound)
	}
	b := &p.Items[0].V
	if len(b.Entries) == 0 {
		return nil, fmt.Errorf("audit: batch %d is empty; run 'api verify'", b.Position)
	}
	return b, nil
}

// maxCheckpoint is how long a checkpoint's JSON may be.
const maxCheckpoint = 4096

// ReadCheckpoint reads a checkpoint that was kept as JSON. Unknown members are an error.
func ReadCheckpoint(r io.Reader) (Checkpoint, error) {
	var c Checkpoint
	dec := json.NewDecoder(io.LimitReader(r, maxCheckpoint))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return c, fmt.Errorf("checkpoint: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return c, errors.New("checkpoint: more than one JSON value")
	}
	if _, ok := parseDigest(c.Hash); !ok || c.Seq < 0 {
		return c, errors.New("checkpoint: no number and hash of an entry")
	}
	return c, nil
}
