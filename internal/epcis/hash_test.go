package epcis

import (
	"strings"
	"testing"
)

// TestSameEventSameHash has pairs of texts that say the same.
func TestSameEventSameHash(t *testing.T) {
	t.Parallel()
	for name, c := range map[string][2]string{
		"order of members and lists": {
			`"type":"ObjectEvent","action":"ADD","epcList":[` + bottle1 + `,` + bottle2 + `],"ex:a":[1,2],"ex:b":{"ex:c":1,"ex:d":2}`,
			`"ex:b":{"ex:d":2,"ex:c":1},"ex:a":[2,1],"epcList":[` + bottle2 + `,` + bottle1 + `],"action":"ADD","type":"ObjectEvent"`,
		},
		"URN and Digital Link": {
			`"type":"ObjectEvent","action":"ADD","epcList":["urn:epc:id:sgtin:4012345.011111.987"]`,
			`"type":"ObjectEvent","action":"ADD","epcList":["https://brand.example/de/01/04012345111118/10/LOT/21/987?x=y"]`,
		},
		"vocabulary": {
			objectEvent + `,"bizStep":"shipping","disposition":"in_transit","persistentDisposition":{"set":["recalled","stolen"]}`,
			objectEvent + `,"bizStep":"urn:epcglobal:cbv:bizstep:shipping","disposition":"cbv:Disp-in_transit",` +
				`"persistentDisposition":{"set":["https://ref.gs1.org/cbv/Disp-stolen","recalled"]}`,
		},
		"what takes no part": {
			objectEvent,
			objectEvent + `,"eventID":"urn:x:1","recordTime":"2026-07-22T07:00:00Z","rdfs:comment":"hello",` +
				`"errorDeclaration":{"declarationTime":"2026-08-01T00:00:00Z","reason":"did_not_occur"}`,
		},
		"numbers": {
			objectEvent + `,"ex:a":1.50,"ex:b":"0012","ex:c":true`,
			objectEvent + `,"ex:a":"1.5","ex:b":12,"ex:c":"true"`,
		},
		"names": {
			objectEvent + `,"ex:a":"ex:v"`,
			objectEvent + `,"https://ns.example.com/x/a":"https://ns.example.com/x/v"`,
		},
		"types of transactions": {
			objectEvent + `,"bizTransactionList":[{"type":"po","bizTransaction":"urn:x:1"},{"bizTransaction":"urn:x:2"}]`,
			objectEvent + `,"bizTransactionList":[{"bizTransaction":"urn:x:2"},{"bizTransaction":"urn:x:1","type":"urn:epcglobal:cbv:btt:po"}]`,
		},
		"terms in extensions": {
			objectEvent + `,"ex:a":"urn:epcglobal:cbv:disp:recalled","ex:b":"urn:epc:id:sgtin:4012345.011111.987"`,
			objectEvent + `,"ex:a":"https://ref.gs1.org/cbv/Disp-recalled","ex:b":"https://id.gs1.org/01/04012345111118/21/987"`,
		},
		"null is nothing": {objectEvent, objectEvent + `,"ex:a":null`},
	} {
		a, b := decodeEvent(t, c[0]), decodeEvent(t, c[1])
		if a.HashID() != b.HashID() {
			t.Errorf("%s:\n%s\n%s", name, a.PreHash(), b.PreHash())
		}
	}
}

// TestDifferentEventDifferentHash changes one fact of an event at a time.
func TestDifferentEventDifferentHash(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, members := range []string{
		objectEvent,
		strings.Replace(objectEvent, "ADD", "OBSERVE", 1),
		objectEvent + `,"bizStep":"shipping"`,
		objectEvent + `,"disposition":"recalled"`,
		objectEvent + `,"persistentDisposition":{"set":["recalled"]}`,
		objectEvent + `,"persistentDisposition":{"unset":["recalled"]}`,
		objectEvent + `,"readPoint":{"id":"urn:x:1"}`,
		objectEvent + `,"bizLocation":{"id":"urn:x:1"}`,
		objectEvent + `,"bizLocation":{"id":"urn:x:1","ex:a":1}`,
		objectEvent + `,"sourceList":[{"type":"location","source":"urn:x:1"}]`,
		objectEvent + `,"destinationList":[{"type":"location","destination":"urn:x:1"}]`,
		objectEvent + `,"quantityList":[{"epcClass":` + lot + `,"quantity":1}]`,
		objectEvent + `,"quantityList":[{"epcClass":` + lot + `,"quantity":1,"uom":"KGM"}]`,
		objectEvent + `,"ilmd":{"ex:a":1}`,
		objectEvent + `,"ex:a":1`,
		objectEvent + `,"ex:a":{"ex:b":1}`,
		objectEvent + `,"ex:a":""`,
		objectEvent + `,"certificationInfo":"urn:x:1"`,
		objectEvent + `,"certificationInfo":[{"ex:a":"urn:x:1"}]`,
		objectEvent + `,"sensorElementList":[{"sensorReport":[{"type":"Count","value":1}]}]`,
		objectEvent + `,"sensorElementList":[{"sensorReport":[{"type":"Count","value":1,"ex:a":1}]}]`,
		objectEvent + `,"sensorElementList":[{"sensorReport":[{"type":"Count","value":1}],"ex:b":1}]`,
		objectEvent + `,"sensorElementList":[{"sensorMetadata":{"deviceID":"urn:x:1"},"sensorReport":[{"type":"Count","value":1}]}]`,
	} {
		e := decodeEvent(t, members)
		if other, twice := seen[e.HashID()]; twice {
			t.Errorf("one hash for\n%s\n%s", other, members)
		}
		seen[e.HashID()] = members
	}
}

func TestPreHashOfEveryPart(t *testing.T) {
	t.Parallel()
	e := decodeEvent(t, `"type":"ObjectEvent","action":"ADD","epcList":[`+bottle1+`],"bizStep":"commissioning",`+
		`"sourceList":[{"type":"location","source":"urn:x:s"}],"destinationList":[{"type":"location","destination":"urn:x:d"}],`+
		`"bizTransactionList":[{"type":"po","bizTransaction":"urn:x:t"}],"ilmd":{"ex:i":"0010"},"ex:z":{"ex:y":["b","a"]},`+
		`"readPoint":{"id":"geo:20.0,110.3","ex:r":1},"sensorElementList":[{"ex:e":1,"sensorMetadata":{"time":"2026-07-22T06:44:59.9996+08:00"},`+
		`"sensorReport":[{"type":"Temperature","value":-1.50,"uom":"CEL","booleanValue":false}]}]`)
	const loc = "type=https://ref.gs1.org/cbv/SDT-location"
	want := "eventType=ObjectEventeventTime=2026-07-21T22:45:00.000ZeventTimeZoneOffset=+08:00" +
		"epcListepc=https://id.gs1.org/01/09521141012345/21/1action=ADDbizStep=https://ref.gs1.org/cbv/BizStep-commissioning" +
		"readPointid=geo:20.0,110.3{https://ns.example.com/x/}r=1" +
		"sensorElementListsensorElementsensorMetadatatime=2026-07-21T22:45:00.000Z" +
		"sensorReporttype=https://gs1.org/voc/Temperaturevalue=-1.5booleanValue=falseuom=CEL{https://ns.example.com/x/}e=1" +
		"bizTransactionListtype=https://ref.gs1.org/cbv/BTT-pobizTransaction=urn:x:t" +
		"destinationList" + loc + "destination=urn:x:d" + "ilmd{https://ns.example.com/x/}i=10" + "sourceList" + loc + "source=urn:x:s" +
		"{https://ns.example.com/x/}z{https://ns.example.com/x/}y=a{https://ns.example.com/x/}y=b"
	if got := e.PreHash(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestIdentities(t *testing.T) {
	t.Parallel()
	const hash = "ni:///sha-256;00e1e6eba3a7cc6125be4793a631f0af50f8322e0ab5f2c0bab994a11cec1d79?ver=CBV2.0"
	none := decodeEvent(t, objectEvent)
	for name, c := range map[string]struct{ members, id, suppliedHash string }{
		"none":          {objectEvent, none.HashID(), ""},
		"plain":         {objectEvent + `,"eventID":"urn:x:1"`, "urn:x:1", ""},
		"foreign hash":  {objectEvent + `,"eventID":"` + hash + `"`, hash, hash},
		"both":          {objectEvent + `,"eventID":"` + hash + `","eventID":"urn:x:1"`, "urn:x:1", hash},
		"both, swapped": {objectEvent + `,"eventID":"urn:x:1","eventID":"` + hash + `"`, "urn:x:1", hash},
	} {
		e := decodeEvent(t, c.members)
		if e.ID() != c.id || e.SuppliedHash != c.suppliedHash || e.HashID() != none.HashID() {
			t.Errorf("%s: ID %s, supplied hash %s, hash %s", name, e.ID(), e.SuppliedHash, e.HashID())
		}
	}
}
