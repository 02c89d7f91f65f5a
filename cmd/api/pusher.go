package main

import (
	"context"

	"github.com/haisu-trace/haisu/internal/alert"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/warning"
	"github.com/haisu-trace/haisu/push"
)

// pusher lets the fan-out send through a push.Sender.
type pusher struct {
	sender    push.Sender
	publicURL string
}

// Send implements alert.Sender.
func (p pusher) Send(ctx context.Context, out alert.Outgoing, to []alert.Address) []alert.Sent {
	targets := make([]push.Target, len(to))
	for i, t := range to {
		targets[i] = push.Target{Token: t.Token, Platform: t.Platform, Lang: t.Lang}
	}
	sent := make([]alert.Sent, len(to))
	for i, r := range p.sender.Send(ctx, p.alert(out), targets) {
		sent[i] = alert.Sent{State: states[r.Outcome], RetryAfter: r.RetryAfter, Detail: r.Outcome.String()}
		if sent[i].State == "" {
			sent[i].State = alert.StatePending
		}
	}
	return sent
}

// states says what an outcome means for a delivery. What is not here is tried again: whether an unknown one arrived cannot be known,
// and a repetition replaces the notification on the device.
var states = map[push.Outcome]string{
	push.Accepted:       alert.StateSent,
	push.Unregistered:   alert.StateUnreachable,
	push.InvalidPayload: alert.StateFailed,
	push.BadToken:       alert.StateFailed,
}

// alert is the message as people read it: first how bad and what, then what to do.
func (p pusher) alert(out alert.Outgoing) push.Alert {
	m := out.Message
	a := push.Alert{
		WarningNo: m.No, Revision: m.Rev, Level: string(m.Level), Kind: string(m.Kind), ReasonCode: out.Reason,
		Link: p.publicURL + "/warnings/" + m.No, AlertID: m.ID(), Title: map[string]string{}, Body: map[string]string{},
	}
	for _, tag := range []string{lang.ZhHans, lang.En} {
		if m.Title[tag] == "" {
			continue
		}
		a.Title[tag] = prefixes[m.Kind][tag] + m.Title[tag]
		if m.Kind == warning.KindAlert || m.Kind == warning.KindUpdate {
			a.Title[tag] = m.Level.Name()[tag] + separators[tag] + a.Title[tag]
		}
		a.Body[tag] = m.Advice[tag]
		if m.Kind == warning.KindLift || m.Kind == warning.KindRetract {
			a.Body[tag] = m.Reason[tag]
		} else if !out.Certain {
			a.Body[tag] = checkPackage[tag] + a.Body[tag]
		}
	}
	return a
}

var (
	prefixes = map[warning.MessageKind]lang.Text{
		warning.KindUpdate:  lang.ZhEn("更新：", "Update: "),
		warning.KindLift:    lang.ZhEn("已解除：", "All clear: "),
		warning.KindRetract: lang.ZhEn("更正（已撤回）：", "Correction (withdrawn): "),
	}
	separators   = lang.ZhEn("预警：", ": ")
	checkPackage = lang.ZhEn("请先核对包装上的批号和日期。", "First check the lot number and date on the package. ")
)
