package main

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// A pallet is too warm on its way, and whoever scans a tin that was in it sees that: through the real program, from limits and readings to the page.
func TestColdChain(t *testing.T) {
	t.Parallel()
	p := start(t, map[string]string{"DATA_DIR": t.TempDir(), "DEMO": "off"})
	seller := bearer(p.sellerKey("haikou-df", "-kind", "duty_free", "-grants", "690123456"))
	p.do(nil, "PUT", "/v1/products/"+gtin, seller, spirits, 201)
	p.do(nil, "PUT", "/v1/products/"+gtin+"/lots/L1", seller, map[string]any{"produced": "2026-01-15", "expires": "2036-01-15", "quantity": 2}, 201)
	keyed := bearer(strings.TrimPrefix(seller["Authorization"], "Bearer "))
	keyed["Idempotency-Key"] = "one-tin-of-it"
	serial := at(t, p.do(nil, "POST", "/v1/products/"+gtin+"/lots/L1/codes", keyed, map[string]any{"count": 1}, 201).json(t), "items", 0, "serial").(string)
	scan := "/01/" + gtin + "/10/L1/21/" + serial
	if a := p.do(nil, "GET", scan, inEnglish, nil, 200).json(t); a["cold_chain"] != nil {
		t.Errorf("a product without limits: %v", a["cold_chain"])
	}
	limits := map[string]any{"temperature": map[string]any{"min": 2, "max": 8}, "excursion_minutes": 30, "gap_minutes": 30}
	p.do(nil, "PUT", "/v1/products/"+gtin+"/limits", seller, limits, 200)
	p.do(nil, "POST", "/epcis/capture", seller, chainDocument(serial), 202)

	const pallet = "urn:epc:id:sscc:690123456.00000001"
	p.do(nil, "PUT", "/v1/sensors/bindings", seller, map[string]any{
		"logger": "TT-1", "thing": pallet, "from": "2026-02-01T00:00:00Z", "to": "2026-02-02T00:00:00Z",
	}, 200)
	begin := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	readings := make([]map[string]any, 0, 290)
	for i := range 289 { // five minutes apart; warm from 10:00 to 12:00; silent from 18:00 to 20:00
		if i > 216 && i < 240 {
			continue
		}
		c := 5 + 1.5*math.Sin(float64(i)/20)
		if i >= 120 && i < 144 {
			c = 11.5
		}
		readings = append(readings, map[string]any{
			"logger": "TT-1", "time": begin.Add(time.Duration(i) * 5 * time.Minute).Format(time.RFC3339), "quantity": "temperature", "value": c*1.8 + 32, "uom": "FAH",
		})
	}
	for _, part := range [][]map[string]any{readings[100:], readings[:150]} { // late ones last, some twice
		p.do(nil, "POST", "/v1/sensors/readings", seller, map[string]any{"readings": part}, 200)
	}
	var cold map[string]any
	p.eventually("the record of the pallet", func() bool {
		a := p.do(nil, "GET", scan, inEnglish, nil, 200).json(t)
		cold, _ = a["cold_chain"].(map[string]any)
		wantAt(t, a, "none_known", "safety", "status") // an excursion is no warning
		return cold["state"] == "excursion" && len(cold["gaps"].([]any)) == 1
	})
	wantAt(t, cold, 11.5, "excursions", 0, "peak")
	wantAt(t, cold, float64(120), "excursions", 0, "minutes")
	wantAt(t, cold, "2026-02-01T18:00:00Z", "gaps", 0, "from")
	wantAt(t, cold, "haikou-df", "by", 0, "id")

	html := map[string]string{"Accept": "text/html", "Accept-Language": "en"}
	page := string(p.do(nil, "GET", scan, html, nil, 200).body)
	for _, part := range []string{"Outside of the limits for a time", "Outside: 2 hours", "No readings: 2 hours", `role="img"`, "<rect"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page does not say %q", part)
		}
	}

	again := p.do(nil, "POST", "/v1/sensors/readings", seller, map[string]any{"readings": readings}, 200).json(t)
	wantAt(t, again, float64(len(readings)), "repeated")
	days := p.do(nil, "GET", "/v1/sensors/windows?logger=TT-1", seller, nil, 200).json(t)
	wantAt(t, days, "2026-02-02", "items", 0, "day") // midnight is of the next day
	wantAt(t, days, float64(len(readings)-1), "items", 1, "count")

	officer := bearer(p.login("chen.yu"))
	stranger := bearer(p.sellerKey("sanya-df", "-kind", "duty_free"))
	for who, want := range map[string]int{"seller": 1, "officer": 1, "stranger": 0} {
		as := map[string]map[string]string{"seller": seller, "officer": officer, "stranger": stranger}[who]
		list := p.do(nil, "GET", "/v1/sensors/excursions?gtin="+gtin, as, nil, 200).json(t)
		if items := list["items"].([]any); len(items) != want {
			t.Errorf("%s sees %v", who, items)
		}
	}
	p.do(nil, "PUT", "/v1/products/"+gtin+"/limits", stranger, limits, 403)
	ahead := map[string]any{"readings": []any{map[string]any{
		"logger": "TT-1", "time": time.Now().Add(time.Hour).Format(time.RFC3339), "quantity": "temperature", "value": 5, "uom": "CEL",
	}}}
	refused := p.do(nil, "POST", "/v1/sensors/readings", seller, ahead, 422).json(t)
	wantAt(t, refused, "/readings/0/time", "errors", 0, "pointer")
	wantAt(t, refused, "time_in_future", "errors", 0, "code")

	// The officer bears two hours of it: the same readings are judged anew.
	lax := map[string]any{"temperature": map[string]any{"min": 2, "max": 8}, "excursion_minutes": 180, "gap_minutes": 180}
	p.do(nil, "PUT", "/v1/products/"+gtin+"/limits", officer, lax, 200)
	p.eventually("the judgement by the authority's limits", func() bool {
		a := p.do(nil, "GET", scan, inEnglish, nil, 200).json(t)
		return fmt.Sprint(at(t, a, "cold_chain", "state")) == "within"
	})
}
