package epcis

import (
	"slices"
	"testing"
	"time"
)

func TestEdges(t *testing.T) {
	t.Parallel()
	const (
		b1, b2, sscc = "https://id.gs1.org/01/09521141012345/21/1", "https://id.gs1.org/01/09521141012345/21/2", "https://id.gs1.org/00/340123451111111111"
		lotID        = "https://id.gs1.org/01/09521141012345/10/L1"
	)
	at := time.Date(2026, 7, 21, 22, 45, 0, 0, time.UTC)
	pack := Edge{Relation: Aggregates, Action: Add, From: sscc, To: b1, At: at}
	packLot := Edge{Relation: Aggregates, Action: Add, From: sscc, To: lotID, At: at, Counts: true, Amount: "2.5", UOM: "KGM"}
	for name, c := range map[string]struct {
		members string
		want    []Edge
	}{
		"object": {objectEvent, nil},
		"packing": {
			`"type":"AggregationEvent","action":"ADD","parentID":"urn:epc:id:sscc:4012345.3111111111","childEPCs":[` + bottle1 + `],` +
				`"childQuantityList":[{"epcClass":` + lot + `,"quantity":2.50,"uom":"KGM"}]`,
			[]Edge{pack, packLot},
		},
		"unpacking all": {
			`"type":"AggregationEvent","action":"DELETE","parentID":` + crate,
			[]Edge{{Relation: Aggregates, Action: Delete, From: sscc, At: at}},
		},
		"observed without parent": {`"type":"AggregationEvent","action":"OBSERVE","childEPCs":[` + bottle1 + `]`, nil},
		"association": {
			`"type":"AssociationEvent","action":"ADD","parentID":` + crate + `,"childEPCs":[` + bottle1 + `]`,
			[]Edge{{Relation: Associates, Action: Add, From: sscc, To: b1, At: at}},
		},
		"transformation": {
			`"type":"TransformationEvent","eventID":"urn:x:e","inputEPCList":[` + bottle1 + `],"outputEPCList":[` + bottle2 + `],` +
				`"outputQuantityList":[{"epcClass":` + lot + `}]`,
			[]Edge{
				{Relation: Consumes, From: b1, To: "urn:x:e", At: at},
				{Relation: Produces, From: "urn:x:e", To: b2, At: at},
				{Relation: Produces, From: "urn:x:e", To: lotID, At: at, Counts: true},
			},
		},
		"shared transformation": {
			`"type":"TransformationEvent","transformationID":"urn:epc:id:gdti:0614141.12345.400","inputEPCList":[` + bottle1 + `]`,
			[]Edge{{Relation: Consumes, From: b1, To: "https://id.gs1.org/253/0614141123452400", At: at}},
		},
	} {
		if got := decodeEvent(t, c.members).Edges(); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%+v\nwant\n%+v", name, got, c.want)
		}
	}
}

func TestThings(t *testing.T) {
	t.Parallel()
	e := decodeEvent(t, `"type":"TransactionEvent","action":"ADD","bizTransactionList":[{"bizTransaction":"urn:x:1"}],"parentID":`+crate+
		`,"epcList":[`+bottle2+`,`+bottle1+`],"quantityList":[{"epcClass":`+lot+`,"quantity":12}]`)
	var got []string
	for _, thing := range e.Things() {
		got = append(got, string(thing.Role)+" "+thing.ID.String()+" "+string(thing.Amount))
	}
	want := []string{
		"parent https://id.gs1.org/00/340123451111111111 ",
		"subject https://id.gs1.org/01/09521141012345/21/2 ",
		"subject https://id.gs1.org/01/09521141012345/21/1 ",
		"subject https://id.gs1.org/01/09521141012345/10/L1 12",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if ref, ok := e.EPCList[0].EPC.Ref(); !ok || ref.Serial != "2" {
		t.Errorf("%+v", ref)
	}
}
