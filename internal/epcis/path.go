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

// maxPointer bounds a pointer in bytes: a hundred of them are kept with a capture that failed.
const maxPointer = 1000

// pointer is the JSON pointer of RFC 6901, "" for the whole body. Of a value with names so long that it would exceed maxPointer it is the pointer of the
// innermost value around it that has a shorter one.
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
		step = pointerEscapes.Replace(step)
		if b.Len()+1+len(step) > maxPointer {
			break
		}
		b.WriteByte('/')
		b.WriteString(step)
	}
	return b.String()
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// refused is the refusal of a document for one reason, at a place. What the detail of the error says beyond the field is where a reader of bytes was.
func refused(k fault.Kind, pointer, code, format string, args ...any) *fault.Error {
	f := fault.Field{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...)}
	if k == fault.Invalid {
		return fault.InvalidFields(f)
	}
	return &fault.Error{Kind: k, Code: code, Detail: f.Detail, Fields: []fault.Field{f}}
}

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
