package httpapi

import "github.com/haisu-trace/haisu/internal/warning"

// The public form of warnings. It leaves out who typed them, and the bookkeeping of alerts and retries.

func draftBody(d warning.Draft) Warning {
	return Warning{
		No: d.No, Status: WarningStatusDraft, Authority: d.Authority, Updated: d.Updated, Content: d.Content, History: []WarningMessage{},
	}
}

func warningBody(st *warning.State) Warning {
	w := Warning{
		No: st.No, Status: WarningStatus(st.Status), Authority: st.Authority, Issued: st.Issued, Updated: st.Current.Published,
		Content: st.Current.Content, History: make([]WarningMessage, len(st.History)),
	}
	for i := range st.History {
		w.History[i] = messageBody(&st.History[i])
	}
	return w
}

func messageBody(m *warning.Message) WarningMessage {
	return WarningMessage{
		No: m.No, Rev: m.Rev, Kind: MessageKind(m.Kind), Content: m.Content, Reason: m.Reason, Authority: m.Authority, Published: m.Published,
	}
}

func headBody(h *warning.Head) WarningSummary {
	return WarningSummary{
		No: h.No, Status: WarningStatus(h.Status), Level: h.Level, Recall: h.Recall, Hazard: Hazard(h.Hazard), Category: Category(h.Category),
		Title: h.Title, Authority: h.Authority, Issued: h.Issued, Updated: h.Updated,
	}
}
