package ferretdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// gap is something that MongoDB documents, the engine relies on and FerretDB v1 lacks. The proxy between engine and FerretDB fills it, so
// that the engine need not know.
type gap struct {
	name   string
	reason string
	fill   func(p *proxy, m *message)
}

var gaps = []gap{
	{
		name:   "partial indexes",
		reason: "createIndexes refuses partialFilterExpression (NotImplemented); FerretDB uses no such index anyway, so it is left out",
		fill:   func(_ *proxy, m *message) { m.each("createIndexes", "indexes", without("partialFilterExpression")) },
	},
	{
		name:   "repeated createIndexes",
		reason: "createIndexes panics when two or more of its indexes exist already; those are left out, but for one if all do",
		fill:   (*proxy).onlyNewIndexes,
	},
	{
		name:   "empty timestamps",
		reason: "insert stores Timestamp(0,0) as it is, where MongoDB puts its cluster time into top-level fields",
		fill:   func(_ *proxy, m *message) { m.each("insert", "documents", stampEmpty) },
	},
}

func without(key string) func(bson.D) bson.D {
	return func(d bson.D) bson.D {
		return slices.DeleteFunc(d, func(e bson.E) bool { return e.Key == key })
	}
}

var ordinal atomic.Uint32

func stampEmpty(d bson.D) bson.D {
	for i := range d {
		if d[i].Key != "_id" && d[i].Value == (bson.Timestamp{}) {
			d[i].Value = bson.Timestamp{T: uint32(time.Now().Unix()), I: ordinal.Add(1)}
		}
	}
	return d
}

const (
	opMsg      = 2013
	headerSize = 16
	maxMessage = 48_000_000
)

// message is an OP_MSG: the command, and the lists that were sent beside it.
type message struct {
	header [headerSize]byte
	flags  uint32
	body   bson.D
	lists  []list
}

type list struct {
	name string
	docs []bson.D
}

// each changes every document of a list of a command, wherever the driver put the list.
func (m *message) each(command, name string, change func(bson.D) bson.D) {
	if len(m.body) == 0 || m.body[0].Key != command {
		return
	}
	for _, l := range m.lists {
		if l.name == name {
			for i := range l.docs {
				l.docs[i] = change(l.docs[i])
			}
		}
	}
	for _, e := range m.body {
		if docs, ok := e.Value.(bson.A); ok && e.Key == name {
			for i := range docs {
				if d, ok := docs[i].(bson.D); ok {
					docs[i] = change(d)
				}
			}
		}
	}
}

func parse(header [headerSize]byte, payload []byte) (*message, error) {
	if len(payload) < 5 {
		return nil, errors.New("short OP_MSG")
	}
	m := &message{header: header, flags: binary.LittleEndian.Uint32(payload)}
	if m.flags&1 != 0 {
		return nil, errors.New("OP_MSG with checksum")
	}
	for rest := payload[4:]; len(rest) > 0; {
		kind := rest[0]
		size := int(binary.LittleEndian.Uint32(rest[1:]))
		section := rest[1 : 1+size]
		rest = rest[1+size:]
		if kind == 0 {
			if err := bson.Unmarshal(section, &m.body); err != nil {
				return nil, err
			}
			continue
		}
		end := slices.Index(section[4:], 0) + 4
		l := list{name: string(section[4:end])}
		for docs := section[end+1:]; len(docs) > 0; {
			size := int(binary.LittleEndian.Uint32(docs))
			var d bson.D
			if err := bson.Unmarshal(docs[:size], &d); err != nil {
				return nil, err
			}
			l.docs, docs = append(l.docs, d), docs[size:]
		}
		m.lists = append(m.lists, l)
	}
	return m, nil
}

func (m *message) encode() ([]byte, error) {
	out := append([]byte(nil), m.header[:]...)
	out = binary.LittleEndian.AppendUint32(out, m.flags)
	body, err := bson.Marshal(m.body)
	if err != nil {
		return nil, err
	}
	out = append(append(out, 0), body...)
	for _, l := range m.lists {
		section := append([]byte(l.name), 0)
		for _, d := range l.docs {
			raw, err := bson.Marshal(d)
			if err != nil {
				return nil, err
			}
			section = append(section, raw...)
		}
		out = append(out, 1)
		out = binary.LittleEndian.AppendUint32(out, uint32(len(section)+4))
		out = append(out, section...)
	}
	binary.LittleEndian.PutUint32(out, uint32(len(out)))
	return out, nil
}

// proxy stands between the driver and FerretDB.
type proxy struct {
	t      testing.TB
	server string
	lis    net.Listener
	conns  sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool
	hold func(m *message) // called with every command after the gaps are filled, before it is passed on
	rec  bool             // note commands, as the engine sent them, in seen
	seen []bson.D

	indexes map[string]bool // created through this proxy: database, collection, name
}

func (p *proxy) onlyNewIndexes(m *message) {
	if m.body[0].Key != "createIndexes" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	db, _ := m.field("$db")
	for i, e := range m.body {
		all, ok := e.Value.(bson.A)
		if !ok || e.Key != "indexes" {
			continue
		}
		var fresh bson.A
		for _, ix := range all {
			d, _ := ix.(bson.D)
			name, _ := field(d, "name")
			key := fmt.Sprint(db, ".", m.body[0].Value, ".", name)
			if !p.indexes[key] {
				p.indexes[key] = true
				fresh = append(fresh, ix)
			}
		}
		if fresh == nil {
			fresh = all[:1]
		}
		m.body[i].Value = fresh
	}
}

func field(d bson.D, key string) (any, bool) {
	for _, e := range d {
		if e.Key == key {
			return e.Value, true
		}
	}
	return nil, false
}

func (m *message) field(key string) (any, bool) { return field(m.body, key) }

func startProxy(t testing.TB, server string) *proxy {
	t.Helper()
	lis, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, server: server, lis: lis, open: map[net.Conn]bool{}, indexes: map[string]bool{}}
	p.conns.Go(p.accept)
	return p
}

func (p *proxy) uri() string { return fmt.Sprintf("mongodb://%s/", p.lis.Addr()) }

func (p *proxy) close() {
	if err := p.lis.Close(); err != nil {
		p.t.Errorf("proxy: %v", err)
	}
	p.cut()
	p.conns.Wait()
}

// cut breaks every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close() // may be closed already by the other side's end
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.lis.Accept()
		if err != nil {
			return
		}
		server, err := new(net.Dialer).DialContext(p.t.Context(), "tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.open[client], p.open[server] = true, true
		p.mu.Unlock()
		done := func() {
			_, _ = client.Close(), server.Close()
			p.mu.Lock()
			delete(p.open, client)
			delete(p.open, server)
			p.mu.Unlock()
		}
		p.conns.Go(func() {
			defer done()
			_, _ = io.Copy(client, server)
		})
		p.conns.Go(func() {
			defer done()
			p.forward(server, client)
		})
	}
}

func (p *proxy) forward(server io.Writer, client io.Reader) {
	for {
		var header [headerSize]byte
		if _, err := io.ReadFull(client, header[:]); err != nil {
			return
		}
		size := binary.LittleEndian.Uint32(header[:])
		if size < headerSize || size > maxMessage+headerSize {
			p.t.Errorf("proxy: a message of %d bytes", size)
			return
		}
		payload := make([]byte, size-headerSize)
		if _, err := io.ReadFull(client, payload); err != nil {
			return
		}
		out := append(header[:], payload...)
		if binary.LittleEndian.Uint32(header[12:]) == opMsg {
			var err error
			if out, err = p.adapt(header, payload); err != nil {
				p.t.Errorf("proxy: %v", err)
				return
			}
		}
		if _, err := server.Write(out); err != nil {
			return
		}
	}
}

func (p *proxy) adapt(header [headerSize]byte, payload []byte) ([]byte, error) {
	m, err := parse(header, payload)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	if p.rec {
		untouched, err := parse(header, payload)
		if err != nil {
			p.mu.Unlock()
			return nil, err
		}
		for _, l := range untouched.lists {
			untouched.body = append(untouched.body, bson.E{Key: l.name, Value: l.docs})
		}
		p.seen = append(p.seen, untouched.body)
	}
	hold := p.hold
	p.mu.Unlock()
	for _, g := range gaps {
		g.fill(p, m)
	}
	if hold != nil {
		hold(m)
	}
	return m.encode()
}

func (p *proxy) setHold(f func(*message)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = f
}

func (p *proxy) record() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rec, p.seen = true, nil
}

// recorded gives the commands of a kind since record, with their fields by name.
func (p *proxy) recorded(command string) []bson.D {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []bson.D
	for _, cmd := range p.seen {
		if cmd[0].Key == command {
			out = append(out, cmd)
		}
	}
	return out
}
