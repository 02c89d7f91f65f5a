package epcis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
)

// path is a place in the request body: a chain of links on the stack, made into text only for an error. nil is the whole body.
type path struct {
	up    *path
	key   string
	index int // -1: a member
}

func (p *path) member(key string) path { return path{p, key, -1} }
func (p *path) item(i int) path        { return path{p, "", i} }

// pointer is the JSON pointer of RFC 6901, "" for the whole body.
func (p *path) pointer() string {
	var steps []string
	for ; p != nil; p = p.up {
		step := p.key
		if p.index >= 0 {
			step = strconv.Itoa(p.index)
		}
		steps = append(steps, step)
	}
	var b strings.Builder
	for _, step := range slices.Backward(steps) {
		b.WriteByte('/')
		b.WriteString(pointerEscapes.Replace(step))
	}
	return b.String()
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// report collects broken rules up to a bound.
type report struct {
	max    int
	fields []fault.Field
	total  int // broken rules, listed or not
}

func (r *report) add(p *path, code, format string, args ...any) {
	if r.total++; len(r.fields) >= r.max {
		return
	}
	r.fields = append(r.fields, fault.Field{Pointer: p.pointer(), Code: code, Detail: fmt.Sprintf(format, args...)})
}

// err is nil when nothing is wrong.
func (r *report) err() error {
	if len(r.fields) == 0 {
		return nil
	}
	e := fault.InvalidFields(r.fields...)
	e.Detail = "the event data breaks a rule; see errors"
	if r.total > len(r.fields) {
		e.Detail = fmt.Sprintf("the event data breaks many rules; the first %d are listed", len(r.fields))
	}
	return e
}
