package httpapi

import (
	"cmp"
	"context"

	"github.com/haisu-trace/haisu/internal/consumer"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/warning"
)

// RegisterDevice gives an installation of the app its identity.
func (s *server) RegisterDevice(ctx context.Context, req RegisterDeviceRequestObject) (RegisterDeviceResponseObject, error) {
	d, token, err := s.deps.Services.Devices.Register(ctx, consumer.NewDevice{
		Platform: string(req.Body.Platform), Lang: cmp.Or(string(req.Body.Lang), lang.ZhHans), City: city(req.Body.City),
	})
	if err != nil {
		return nil, err
	}
	return RegisterDevice201JSONResponse{
		Id: d.ID, Token: token, Platform: Platform(d.Platform), Lang: LanguageTag(d.Lang), City: d.City, Created: d.Created,
	}, nil
}

// PutPushToken sets where push messages for the device go.
func (s *server) PutPushToken(ctx context.Context, req PutPushTokenRequestObject) (PutPushTokenResponseObject, error) {
	if err := s.deps.Services.Devices.SetPushToken(ctx, callFrom(ctx).device, req.Body.Token); err != nil {
		return nil, err
	}
	return PutPushToken204Response{}, nil
}

// PutSubscriptions replaces the device's subscriptions.
func (s *server) PutSubscriptions(ctx context.Context, req PutSubscriptionsRequestObject) (PutSubscriptionsResponseObject, error) {
	subs := make([]consumer.Subscription, len(req.Body.Subscriptions))
	for i, in := range req.Body.Subscriptions {
		subs[i] = consumer.Subscription{Kind: string(in.Kind), Value: in.Value, MinLevel: in.MinLevel}
	}
	subs, err := s.deps.Services.Devices.SetSubscriptions(ctx, callFrom(ctx).device, subs)
	if err != nil {
		return nil, err
	}
	out := PutSubscriptions200JSONResponse{Subscriptions: make([]Subscription, len(subs))}
	for i, sub := range subs {
		out.Subscriptions[i] = Subscription{Kind: SubscriptionKind(sub.Kind), Value: sub.Value, MinLevel: sub.MinLevel}
	}
	return out, nil
}

// AddHolding notes what the household has.
func (s *server) AddHolding(ctx context.Context, req AddHoldingRequestObject) (AddHoldingResponseObject, error) {
	in := req.Body
	g, err := gs1.ParseGTINLenient(in.Gtin)
	if err != nil {
		return nil, err
	}
	h, err := s.deps.Services.Holdings.AddHolding(ctx, callFrom(ctx).device, consumer.Holding{
		GTIN: g, Lot: in.Lot, Serial: in.Serial, Produced: in.Produced, Expires: in.Expires, Typed: in.Typed,
	})
	if err != nil {
		return nil, err
	}
	return AddHolding201JSONResponse{
		Body: holdingBody(h), Headers: AddHolding201ResponseHeaders{Location: "/v1/device/holdings/" + h.ID},
	}, nil
}

// ListHoldings lists what the household has.
func (s *server) ListHoldings(ctx context.Context, req ListHoldingsRequestObject) (ListHoldingsResponseObject, error) {
	page, err := s.deps.Services.Holdings.Holdings(ctx, callFrom(ctx).device, req.Params.Cursor, cmp.Or(req.Params.Limit, defaultPage))
	if err != nil {
		return nil, err
	}
	out := ListHoldings200JSONResponse{Items: make([]Holding, len(page.Items)), Next: page.Next}
	for i, d := range page.Items {
		out.Items[i] = holdingBody(d.V)
	}
	return out, nil
}

// defaultPage is the default of the parameter limit in the contract.
const defaultPage = 20

func holdingBody(h consumer.Holding) Holding {
	return Holding{
		Id: h.ID, Gtin: h.GTIN.String(), Lot: h.Lot, Serial: h.Serial, Produced: h.Produced, Expires: h.Expires, Typed: h.Typed, Created: h.Created,
	}
}

// DeleteHolding forgets a holding.
func (s *server) DeleteHolding(ctx context.Context, req DeleteHoldingRequestObject) (DeleteHoldingResponseObject, error) {
	if err := s.deps.Services.Holdings.DeleteHolding(ctx, callFrom(ctx).device, req.Id); err != nil {
		return nil, err
	}
	return DeleteHolding204Response{}, nil
}

// ListAlerts is the device's inbox.
func (s *server) ListAlerts(ctx context.Context, req ListAlertsRequestObject) (ListAlertsResponseObject, error) {
	p := req.Params
	items, next, err := s.deps.Services.Inbox.Inbox(ctx, callFrom(ctx).device, p.Since, p.Cursor, cmp.Or(p.Limit, defaultPage))
	if err != nil {
		return nil, err
	}
	tag := lang.Choose(p.Lang, p.AcceptLanguage)
	out := ListAlerts200JSONResponse{Lang: LanguageTag(tag), Items: make([]Alert, len(items)), Next: next}
	for i := range items {
		it := &items[i]
		m := &it.Message
		text := m.Advice
		if m.Kind == warning.KindLift || m.Kind == warning.KindRetract {
			text = m.Reason
		}
		out.Items[i] = Alert{
			No: m.No, Rev: m.Rev, Kind: MessageKind(m.Kind), Level: m.Level, Recall: m.Recall, Title: m.Title.In(tag), Text: text.In(tag),
			Reasons: make([]AlertReason, len(it.Reasons)), Published: m.Published, Received: it.Received,
		}
		for j, r := range it.Reasons {
			out.Items[i].Reasons[j] = AlertReason{Code: AlertReasonCode(r.Code), Text: r.Why().In(tag), Certain: r.Certain}
		}
	}
	return out, nil
}
