// Package alert brings a published warning to the devices it concerns, and to no others.
//
// A published message carries the state of its own fan-out, so nothing can be published without being sent. An expander walks every
// reason to be told (holdings, scans, subscriptions, having been told before) in the order of device IDs, merges them, and
// writes deliveries in chunks whose IDs follow from their place, so a crash repeats a chunk and the ID swallows the repetition. Senders
// then send the chunks; each device finds the alert in its inbox from the moment its chunk is written.
//
// Nobody falls between: a closing pass, begun no earlier than closingDelay after publication, walks once more and adds
// whoever came in meanwhile; whatever is written later is matched against the warnings in force by the late worker.
package alert

import (
	"context"
	"log/slog"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/consumer"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
)

// The reasons to be told.
const (
	ReasonHolding      = "holding"      // the household holds it
	ReasonScan         = "scan"         // the device scanned it
	ReasonSubscription = "subscription" // the device asked for such warnings
	ReasonToldBefore   = "told_before"  // the device was told of an earlier message of this warning
)

// Reason says why a device is told.
type Reason struct {
	Code    string `json:"code"`
	GTIN    string `json:"gtin,omitempty"`
	Lot     string `json:"lot,omitempty"`
	Serial  string `json:"serial,omitempty"`
	Kind    string `json:"kind,omitempty"`  // of the subscription
	Value   string `json:"value,omitempty"` // of the subscription
	Certain bool   `json:"certain"`         // false: check the package
}

// The states of a delivery.
const (
	StatePending     = "pending"
	StateSent        = "sent"        // the push service took it
	StateInbox       = "inbox"       // the device has no push token: the inbox is all there is
	StateUnreachable = "unreachable" // the push token was dead
	StateFailed      = "failed"      // refused for a reason that a retry does not mend
	StateSuperseded  = "superseded"  // a newer message came first; that one is sent
	StateErased      = "erased"      // the device is erased: why it was told is gone, and it is in no inbox
)

// Delivery is one device's share of a message.
type Delivery struct {
	Device  string   `json:"device"`
	Reasons []Reason `json:"reasons"`
	State   string   `json:"state"`
	Detail  string   `json:"detail,omitempty"` // of the last attempt
}

// chunk is a run of deliveries in the order of device IDs.
type chunk struct {
	No         string              `json:"no"`
	Rev        int                 `json:"rev"`
	Kind       warning.MessageKind `json:"kind"`
	Late       bool                `json:"late,omitempty"`
	Deliveries []Delivery          `json:"deliveries"`
	Lane       int                 `json:"lane"`
	Open       bool                `json:"open"`    // some are pending
	Due        time.Time           `json:"due"`     // when to try, or try again
	Tries      int                 `json:"tries"`   // so far
	Created    time.Time           `json:"created"` // when it came into the inboxes
	Fence      int64               `json:"fence,omitempty"`
}

const (
	byDevice  = "device"
	byTold    = "told"
	byWarning = "warning"
	byLane    = "lane"
)

var chunkDef = store.Def[chunk]{Name: "deliveries", Indexes: []store.Index[chunk]{
	{Name: byDevice, Version: "2", Keys: func(_ string, c *chunk) ([]store.Key, store.Key) {
		eq := make([]store.Key, 0, len(c.Deliveries))
		for _, d := range c.Deliveries {
			if d.State != StateErased {
				eq = append(eq, store.K(d.Device))
			}
		}
		return eq, store.K(c.Created)
	}},
	{Name: byTold, Version: "2", Keys: func(_ string, c *chunk) ([]store.Key, store.Key) {
		eq := make([]store.Key, 0, len(c.Deliveries))
		for _, d := range c.Deliveries {
			if d.State != StateErased {
				eq = append(eq, store.K(c.No, d.Device))
			}
		}
		return eq, store.K(c.Rev)
	}},
	{Name: byWarning, Version: "1", Keys: func(_ string, c *chunk) ([]store.Key, store.Key) {
		return []store.Key{toldKey(c.No, c.Rev, c.Late)}, store.K(c.Deliveries[0].Device)
	}},
	{Name: byLane, Version: "1", Keys: func(_ string, c *chunk) ([]store.Key, store.Key) {
		if !c.Open {
			return nil, nil
		}
		return []store.Key{store.K(c.Lane)}, store.K(c.Due)
	}},
}}

// Warnings is what the fan-out needs of the warnings.
type Warnings interface {
	Unfinished(ctx context.Context, cursor string, limit int) ([]warning.Message, string, error)
	SetFanout(ctx context.Context, id string, change func(f *warning.Fanout) error) (warning.Fanout, error)
	Message(ctx context.Context, id string) (warning.Message, error)
	Wake() <-chan struct{}
}

// InForce knows the warnings in force.
type InForce interface {
	Match(dst []warning.Match, s warning.Subject) []warning.Match
	InForce() []*warning.Message
	// Confirm says whether the above is known to be at most 2 s behind the store.
	Confirm(ctx context.Context) bool
}

// Graph is what the fan-out needs of the trace graph.
type Graph interface {
	Descendants(ctx context.Context, sc *warning.Scope) ([]gs1.Ref, error)
	Subject(ctx context.Context, ref gs1.Ref) (warning.Subject, error)
	Product(ctx context.Context, g gs1.GTIN) (*trace.ProductView, error)
	MadeChanges(ctx context.Context, token string, limit int) ([]gs1.Ref, string, error)
}

// Outgoing is a message as it goes to a group of devices with the same reason.
type Outgoing struct {
	Message *warning.Message
	Reason  string // code of the first reason
	Certain bool
}

// Address is where a device is reached.
type Address struct {
	Device, Token, Platform, Lang string
}

// Sent says what became of one message.
type Sent struct {
	State      string        // StateSent, StateUnreachable, StateFailed, or StatePending to try again
	RetryAfter time.Duration // with StatePending; zero: the caller's own back-off
	Detail     string        // a stable code for reports; never a token
}

// Sender sends to addresses; the results are in their order and as many. It never repeats a message by itself.
type Sender interface {
	Send(ctx context.Context, out Outgoing, to []Address) []Sent
}

// Deps are what the service works with.
type Deps struct {
	Engine    store.Engine
	Warnings  Warnings
	InForce   InForce
	Consumers *consumer.Service
	Graph     Graph
	Sender    Sender
	Leases    *store.Leases
	Now       clock.Now
	Log       *slog.Logger
}

// Service is the fan-out. Any number of processes may run it over one store.
type Service struct {
	Deps
	chunks *store.Collection[chunk]
	marks  *store.Collection[mark]
	nudge  [lanes]chan struct{} // a chunk was written: the sender of its lane looks at once
}

// mark is how far the late worker has read a feed.
type mark struct {
	Token string `json:"token"`
	Fence int64  `json:"fence"`
}

// Open declares the collections, and tells the consumers' service that the inboxes are kept here.
func Open(ctx context.Context, deps Deps) (*Service, error) {
	s := &Service{Deps: deps}
	for lane := range s.nudge {
		s.nudge[lane] = make(chan struct{}, 1)
	}
	var err error
	if s.chunks, err = store.Open(ctx, deps.Engine, chunkDef); err != nil {
		return nil, err
	}
	if s.marks, err = store.Open(ctx, deps.Engine, store.Def[mark]{Name: "alert_marks"}); err != nil {
		return nil, err
	}
	deps.Consumers.UseInbox(s)
	return s, nil
}

func (s *Service) wakeSender(lane int) {
	select {
	case s.nudge[lane] <- struct{}{}:
	default:
	}
}

// InboxItem is one alert of a device.
type InboxItem struct {
	ID       string // "{no}/{rev}"
	Message  warning.Message
	Reasons  []Reason
	Received time.Time // when it came into the inbox
}

// Inbox gives a page of a device's alerts received at or after since, the newest first.
func (s *Service) Inbox(ctx context.Context, device string, since time.Time, cursor string, limit int) ([]InboxItem, string, error) {
	q := store.Query{Index: byDevice, Eq: store.K(device), Desc: true, Limit: limit, Cursor: cursor}
	if !since.IsZero() {
		q.From = store.K(since)
	}
	page, err := s.chunks.Find(ctx, q)
	if err != nil {
		return nil, "", err
	}
	var out []InboxItem
	for _, d := range page.Items {
		m, err := s.Warnings.Message(ctx, warning.MessageID(d.V.No, d.V.Rev))
		if err != nil {
			return nil, "", err
		}
		for _, del := range d.V.Deliveries {
			if del.Device == device {
				out = append(out, InboxItem{ID: m.ID(), Message: m, Reasons: del.Reasons, Received: d.V.Created})
			}
		}
	}
	return out, page.Next, nil
}

// Why is a sentence that tells a consumer the reason.
func (r Reason) Why() lang.Text {
	switch {
	case r.Code == ReasonHolding && r.Certain:
		return lang.ZhEn("你登记过的商品在这条预警的范围内。", "A product that you registered is within the scope of this warning.")
	case r.Code == ReasonHolding:
		return lang.ZhEn("你登记过的商品可能在范围内：请核对包装上的批号和日期。", "A product that you registered may be within the scope: check the lot number and date on the package.")
	case r.Code == ReasonScan && r.Certain:
		return lang.ZhEn("你扫过的商品在这条预警的范围内。", "A product that you scanned is within the scope of this warning.")
	case r.Code == ReasonScan:
		return lang.ZhEn("你扫过的商品可能在范围内：请核对包装上的批号和日期。", "A product that you scanned may be within the scope: check the lot number and date on the package.")
	case r.Code == ReasonSubscription:
		return lang.ZhEn("你订阅了这类预警。", "You subscribed to warnings of this kind.")
	}
	return lang.ZhEn("你收到过这条预警先前的通知。", "You were told of this warning before.")
}
