// Package authority keeps the authorities and what they are competent for.
package authority

import (
	"time"

	"github.com/haisu-trace/haisu/internal/lang"
)

// Authority is a body and its competence.
type Authority struct {
	ID          string
	Name        lang.Text
	Kind        string // market, customs, anti_smuggling, …
	Competences []Competence
	From, To    string // YYYY-MM-DD, To exclusive
	Successor   string
	Basis       string // the decision or law that says so
	Revision    int64
}

// Competence is a part of what a body is competent for. What is empty is not restricted.
type Competence struct {
	Matters []string // warning, complaint, tip, resale
	Classes []string // product categories
	Stages  []string // port, market
	Places  []string // GB/T 2260 prefixes
}

// Query asks who is competent.
type Query struct {
	Matter, Class, Stage, Place string
	On                          time.Time
}
