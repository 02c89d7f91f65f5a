package privacy

import (
	"fmt"
	"strings"
	"time"
)

// Protection is how a field is protected where it is stored.
type Protection string

// The protections.
const (
	Encrypted Protection = "encrypted"    // sealed with the record's data key; the stored Go field is of type Sealed
	Hashed    Protection = "hashed"       // a keyed hash, or argon2id for passwords: recognised, never read
	Coarse    Protection = "coarse"       // kept no finer than the purpose needs
	Pseudonym Protection = "pseudonymous" // stands beside a random identifier; nothing here says whose it is
	Official  Protection = "official"     // the name of an official on an official act
)

// Protections explains each protection, for the table.
var Protections = []struct {
	Protection Protection
	Doc        string
}{
	{Encrypted, "sealed with the record's own data key (AES-256-GCM, bound to record and field); erased by destroying the key"},
	{Hashed, "a keyed hash (HMAC-SHA-256), or argon2id for passwords: it can be recognised and not be read"},
	{Coarse, "kept no finer than the purpose needs"},
	{Pseudonym, "kept under a random identifier that only the phone, or the holder of the receipt, can bring back to a person"},
	{Official, "the name of an official on an official act, who answers for it"},
}

// Rule says how long something is kept.
type Rule struct {
	Code   string
	Start  string // the event that the time runs from; "" where Doc says it all
	Months int
	Doc    string
	Basis  string // law and article
}

// Until is when the time that starts at an instant is over; the zero time for a rule without a length.
func (r *Rule) Until(start time.Time) time.Time {
	if r.Months == 0 {
		return time.Time{}
	}
	return start.UTC().AddDate(0, r.Months, 0)
}

func (r *Rule) String() string {
	if r.Months == 0 {
		return r.Doc
	}
	return fmt.Sprintf("%d months after %s", r.Months, r.Start)
}

// Field is one line of the map: one kind of personal data in one place.
type Field struct {
	Collection string
	Name       string // where it stands in a document: member names with '.' between them, through lists; ID is the document's ID
	Record     string // Encrypted: the kind of record whose data key seals it
	Data       string // what it is
	Purpose    string
	Basis      string // law and article
	Keep       *Rule
	Protection Protection
}

// ID as a field's name stands for the document's ID.
const ID = "_id"

// Markdown renders the map as tables.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| where | what | purpose | lawful basis | kept | protection |\n|---|---|---|---|---|---|\n")
	for i := range Fields {
		f := &Fields[i]
		fmt.Fprintf(&b, "| `%s` `%s` | %s | %s | %s | %s | %s |\n", f.Collection, f.Name, f.Data, f.Purpose, f.Basis, f.Keep, f.Protection)
	}
	b.WriteString("\n| protection | what it is |\n|---|---|\n")
	for _, p := range Protections {
		fmt.Fprintf(&b, "| %s | %s |\n", p.Protection, p.Doc)
	}
	b.WriteString("\n| kept | by which rule |\n|---|---|\n")
	for _, r := range Rules {
		fmt.Fprintf(&b, "| %s | %s |\n", r, r.Basis)
	}
	b.WriteString("\n| without personal data | what it holds |\n|---|---|\n")
	for _, c := range Impersonal {
		fmt.Fprintf(&b, "| `%s` | %s |\n", c.Collection, c.Why)
	}
	return b.String()
}
