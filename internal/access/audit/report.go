package audit

import "fmt"

// Kind is what is wrong at a break.
type Kind string

// The kinds of breaks.
const (
	Changed           Kind = "changed"            // an entry, or what holds it, is not as it was written
	Removed           Kind = "removed"            // entries are missing
	Reordered         Kind = "reordered"          // an entry or a batch stands at another's place
	Inserted          Kind = "inserted"           // there is an entry or a batch that nobody wrote there
	Truncated         Kind = "truncated"          // the trail ends before the checkpoint
	WrongMAC          Kind = "wrong_mac"          // whoever wrote the batch did not have the keys of this installation
	Diverged          Kind = "diverged"           // the entry of the checkpoint is another one: the trail was written anew
	ForeignCheckpoint Kind = "foreign_checkpoint" // the checkpoint is not of this installation
	Malformed         Kind = "malformed"          // exports: the file is not an export
)

// Break is the first place where the trail is not what was written.
type Break struct {
	Kind   Kind
	Seq    int64  // the first entry that is concerned: all before it are in order
	To     int64  // Removed, Truncated: the last missing entry, if that is known, else 0
	Batch  int64  // its batch; 0 in an export
	Line   int64  // its line in an export; 0 in the store
	Detail string // one sentence
}

func (b *Break) String() string {
	s := fmt.Sprintf("%s: entry %d", b.Kind, b.Seq)
	if b.To > b.Seq {
		s = fmt.Sprintf("%s: entries %d to %d", b.Kind, b.Seq, b.To)
	}
	if b.Batch > 0 {
		s += fmt.Sprintf(", batch %d", b.Batch)
	}
	if b.Line > 0 {
		s += fmt.Sprintf(", line %d", b.Line)
	}
	return s + ": " + b.Detail
}

// Report is the outcome of a check.
type Report struct {
	First   int64      // number of the first entry that was checked: 1, but in exports of a part
	Entries int64      // entries in order, up to the break
	Batches int64      // batches in order; 0 for an export
	Last    Checkpoint // of the last entry in order. From Verify it can be kept and given to the next; in one from an export the MAC is the export's.
	Break   *Break     // nil: all is in order
}
