package epcis

import (
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/fault"
)

func TestRulesOfEvents(t *testing.T) {
	t.Parallel()
	const sensor = `"type":"ObjectEvent","action":"OBSERVE","sensorElementList":`
	for name, c := range map[string]struct {
		members string
		want    []place
	}{
		"unknown field":                 {objectEvent + `,"bizstep":"shipping"`, []place{{"/bizstep", "unknown_field"}}},
		"unknown prefix":                {objectEvent + `,"nope:x":1`, []place{{"/nope:x", "undeclared_prefix"}}},
		"empty local name":              {objectEvent + `,"ex:":1`, []place{{"/ex:", "undeclared_prefix"}}},
		"nested name without namespace": {objectEvent + `,"ex:a":[{"b":1}]`, []place{{"/ex:a/0/b", "no_namespace"}}},
		"nested unknown prefix":         {objectEvent + `,"ex:a":{"no:b":1}`, []place{{"/ex:a/no:b", "undeclared_prefix"}}},
		"pointer escapes":               {objectEvent + `,"ex:a/b~c":{"d":1}`, []place{{"/ex:a~1b~0c/d", "no_namespace"}}},

		"unknown type": {`"type":"Event"`, []place{{"/type", "unknown_type"}}},
		"no type":      {`"action":"ADD"`, []place{{"/type", "missing"}}},
		"action":       {`"type":"ObjectEvent","action":"add","epcList":[` + bottle1 + `]`, []place{{"/action", "bad_action"}}},
		"action of a transformation": {
			`"type":"TransformationEvent","action":"ADD","inputEPCList":[` + bottle1 + `],"outputEPCList":[` + bottle2 + `]`,
			[]place{{"/action", "not_allowed"}},
		},
		"field of another type": {objectEvent + `,"parentID":` + crate, []place{{"/parentID", "not_allowed"}}},
		"nothing named":         {`"type":"ObjectEvent","action":"ADD","epcList":[]`, []place{{"", "nothing_named"}}},
		"ilmd of an observation": {
			`"type":"ObjectEvent","action":"OBSERVE","epcList":[` + bottle1 + `],"ilmd":{"ex:a":1}`, []place{{"/ilmd", "not_allowed"}},
		},

		"check digit of a link": {
			`"type":"ObjectEvent","action":"ADD","epcList":["https://brand.example/01/09521141012346/21/1"]`,
			[]place{{"/epcList/0", "gtin_check_digit"}},
		},
		"check digit of an SSCC": {
			`"type":"ObjectEvent","action":"ADD","epcList":["https://id.gs1.org/00/340123451111111112"]`,
			[]place{{"/epcList/0", "element_check_digit"}},
		},
		"broken URN": {
			`"type":"ObjectEvent","action":"ADD","epcList":["urn:epc:id:sgtin:0614141.1.2017"]`, []place{{"/epcList/0", "epc_prefix"}},
		},
		"no URI":      {`"type":"ObjectEvent","action":"ADD","epcList":["bottle 1"]`, []place{{"/epcList/0", "epc_syntax"}}},
		"null":        {`"type":"ObjectEvent","action":"ADD","epcList":[null]`, []place{{"/epcList/0", "wrong_type"}}},
		"no list":     {`"type":"ObjectEvent","action":"ADD","epcList":` + bottle1, []place{{"/epcList", "wrong_type"}}},
		"white space": {objectEvent + `,"eventID":" urn:x:1"`, []place{{"/eventID", "white_space"}}},
		"long ID":     {objectEvent + `,"eventID":"urn:x:` + strings.Repeat("1", 400) + `"`, []place{{"/eventID", "too_long"}}},
		"named twice, in two forms": {
			`"type":"ObjectEvent","action":"ADD","epcList":["urn:epc:id:sgtin:4012345.011111.987","https://a.example/01/04012345111118/10/L/21/987"]`,
			[]place{{"/epcList/1", "duplicate"}},
		},

		"a lot as parent": {
			`"type":"AggregationEvent","action":"ADD","parentID":"https://id.gs1.org/01/04012345111118/10/L","childEPCs":[` + bottle1 + `]`,
			[]place{{"/parentID", "not_an_instance"}},
		},
		"a product as parent": {
			`"type":"AssociationEvent","action":"DELETE","parentID":"https://id.gs1.org/01/04012345111118"`, []place{{"/parentID", "not_an_instance"}},
		},
		"quantity of one thing": {
			`"type":"ObjectEvent","action":"ADD","quantityList":[{"epcClass":` + bottle1 + `,"quantity":1}]`,
			[]place{{"/quantityList/0/epcClass", "not_a_class"}},
		},
		"negative quantity": {
			`"type":"ObjectEvent","action":"ADD","quantityList":[{"epcClass":` + lot + `,"quantity":-1}]`,
			[]place{{"/quantityList/0/quantity", "out_of_range"}},
		},
		"half a piece": {
			`"type":"ObjectEvent","action":"ADD","quantityList":[{"epcClass":` + lot + `,"quantity":0.5}]`,
			[]place{{"/quantityList/0/quantity", "not_whole"}},
		},
		"unit without quantity": {
			`"type":"ObjectEvent","action":"ADD","quantityList":[{"epcClass":` + lot + `,"uom":"KGM"}]`,
			[]place{{"/quantityList/0/quantity", "missing"}},
		},
		"unit in words": {
			`"type":"ObjectEvent","action":"ADD","quantityList":[{"epcClass":` + lot + `,"quantity":1,"uom":"kilo"}]`,
			[]place{{"/quantityList/0/uom", "bad_unit"}},
		},
		"extension of a quantity": {
			`"type":"ObjectEvent","action":"ADD","quantityList":[{"epcClass":` + lot + `,"ex:a":1}]`,
			[]place{{"/quantityList/0/ex:a", "no_extension"}},
		},

		"CBV URN that is none":        {objectEvent + `,"bizStep":"urn:epcglobal:cbv:bizstep:flying"`, []place{{"/bizStep", "unknown_term"}}},
		"CBV Web URI that is none":    {objectEvent + `,"bizStep":"https://ref.gs1.org/cbv/BizStep-flying"`, []place{{"/bizStep", "unknown_term"}}},
		"term of another list":        {objectEvent + `,"bizStep":"urn:epcglobal:cbv:disp:recalled"`, []place{{"/bizStep", "unknown_term"}}},
		"term that is a number":       {objectEvent + `,"bizStep":1`, []place{{"/bizStep", "wrong_type"}}},
		"private term that is no URI": {objectEvent + `,"disposition":"my term: x"`, []place{{"/disposition", "bad_uri"}}},
		"set and unset": {
			objectEvent + `,"persistentDisposition":{"set":["recalled"],"unset":["urn:epcglobal:cbv:disp:recalled"]}`,
			[]place{{"/persistentDisposition", "contradiction"}},
		},
		"source without type": {objectEvent + `,"sourceList":[{"source":` + crate + `}]`, []place{{"/sourceList/0/type", "missing"}}},
		"source type":         {objectEvent + `,"sourceList":[{"source":` + crate + `,"type":"po"}]`, []place{{"/sourceList/0/type", "unknown_term"}}},
		"transaction type":    {objectEvent + `,"bizTransactionList":[{"bizTransaction":"urn:x:1","type":"bill"}]`, []place{{"/bizTransactionList/0/type", "unknown_term"}}},
		"place without id":    {objectEvent + `,"readPoint":{"ex:a":1}`, []place{{"/readPoint/id", "missing"}}},
		"error reason": {
			objectEvent + `,"errorDeclaration":{"reason":"oops"}`,
			[]place{{"/errorDeclaration/reason", "unknown_term"}, {"/errorDeclaration/declarationTime", "missing"}},
		},
		"certificate that is no URI": {objectEvent + `,"certificationInfo":["ISO 9001"]`, []place{{"/certificationInfo/0", "epc_syntax"}}},
		"certificate without namespace": {
			objectEvent + `,"certificationInfo":[{"agency":"x"}]`, []place{{"/certificationInfo/0/agency", "no_namespace"}},
		},

		"aggregation without parent": {
			`"type":"AggregationEvent","action":"ADD","childEPCs":[` + bottle1 + `]`, []place{{"/parentID", "missing"}},
		},
		"aggregation without children": {`"type":"AggregationEvent","action":"ADD","parentID":` + crate, []place{{"", "nothing_named"}}},
		"aggregation of itself": {
			`"type":"AggregationEvent","action":"ADD","parentID":` + crate + `,"childEPCs":["urn:epc:id:sscc:4012345.3111111111"]`,
			[]place{{"/childEPCs/0", "contradiction"}},
		},
		"association observed without parent": {
			`"type":"AssociationEvent","action":"OBSERVE","childEPCs":[` + bottle1 + `]`, []place{{"/parentID", "missing"}},
		},
		"transaction without transaction": {
			`"type":"TransactionEvent","action":"ADD","epcList":[` + bottle1 + `],"bizTransactionList":[]`,
			[]place{{"/bizTransactionList", "missing"}},
		},
		"transformation without outputs": {`"type":"TransformationEvent","inputEPCList":[` + bottle1 + `]`, []place{{"", "nothing_named"}}},
		"transformation of nothing":      {`"type":"TransformationEvent","transformationID":"urn:x:1"`, []place{{"", "nothing_named"}}},

		"sensor element without report": {sensor + `[{}]`, []place{{"/sensorElementList/0/sensorReport", "missing"}}},
		"sensor report without type":    {sensor + `[{"sensorReport":[{"value":1}]}]`, []place{{"/sensorElementList/0/sensorReport/0/type", "missing"}}},
		"measurement type": {
			sensor + `[{"sensorReport":[{"type":"Warmth","value":1}]}]`, []place{{"/sensorElementList/0/sensorReport/0/type", "unknown_term"}},
		},
		"value without unit": {
			sensor + `[{"sensorReport":[{"type":"Temperature","value":1}]}]`, []place{{"/sensorElementList/0/sensorReport/0/uom", "missing"}},
		},
		"mean without unit": {
			sensor + `[{"sensorReport":[{"type":"Temperature","meanValue":1}]}]`, []place{{"/sensorElementList/0/sensorReport/0/uom", "missing"}},
		},
		"value as text": {
			sensor + `[{"sensorReport":[{"type":"Temperature","value":"1","uom":"CEL"}]}]`,
			[]place{{"/sensorElementList/0/sensorReport/0/value", "not_a_number"}},
		},
		"maximum below minimum": {
			sensor + `[{"sensorReport":[{"type":"Count","minValue":2,"maxValue":1}]}]`,
			[]place{{"/sensorElementList/0/sensorReport/0/maxValue", "contradiction"}},
		},
		"rank without value": {
			sensor + `[{"sensorReport":[{"type":"Count","percRank":101}]}]`,
			[]place{{"/sensorElementList/0/sensorReport/0/percRank", "out_of_range"}, {"/sensorElementList/0/sensorReport/0", "incomplete"}},
		},
		"hexadecimal": {
			sensor + `[{"sensorReport":[{"type":"ex:a","hexBinaryValue":"F0G0"},{"type":"ex:a","hexBinaryValue":"F0A"}]}]`,
			[]place{
				{"/sensorElementList/0/sensorReport/0/hexBinaryValue", "bad_hex"},
				{"/sensorElementList/0/sensorReport/1/hexBinaryValue", "bad_hex"},
			},
		},
		"boolean as text": {
			sensor + `[{"sensorReport":[{"type":"ex:a","booleanValue":"true"}]}]`,
			[]place{{"/sensorElementList/0/sensorReport/0/booleanValue", "wrong_type"}},
		},
		"period that ends before it starts": {
			sensor + `[{"sensorMetadata":{"startTime":"2026-01-02T00:00:00Z","endTime":"2026-01-01T00:00:00Z"},"sensorReport":[{"type":"Count","value":1}]}]`,
			[]place{{"/sensorElementList/0/sensorMetadata/endTime", "contradiction"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := DecodeEvent(event(c.members), Limits{})
			refusedAt(t, err, fault.Invalid, c.want...)
		})
	}
}

func TestPermittedEvents(t *testing.T) {
	t.Parallel()
	for name, members := range map[string]string{
		"unpacking all children":            `"type":"AggregationEvent","action":"DELETE","parentID":` + crate,
		"children without parent":           `"type":"AggregationEvent","action":"OBSERVE","childEPCs":[` + bottle1 + `]`,
		"inputs of a shared transformation": `"type":"TransformationEvent","transformationID":"urn:x:1","inputEPCList":[` + bottle1 + `]`,
		"private vocabulary":                objectEvent + `,"bizStep":"ex:tasting","disposition":"https://example.com/disp/opened"`,
		"private identifiers":               `"type":"ObjectEvent","action":"ADD","epcList":["urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8","ex:42","https://example.com/x"]`,
		"full URI as a name":                objectEvent + `,"https://ns.example.com/x/a":1`,
		"Chinese":                           objectEvent + `,"ex:备注":"海口免税店"`,
		"escapes":                           objectEvent + `,"ex:a" : { "ex:b" : "a \" { b\\" , "ex:c" : [ "\u6d77" , "," ] }`,
		"JSON-LD inside":                    objectEvent + `,"ex:a":{"@type":"ex:b","id":"ex:c","@value":1}`,
		"unspecified quantity":              `"type":"ObjectEvent","action":"ADD","quantityList":[{"epcClass":` + lot + `}]`,
		"exception without type":            `"type":"ObjectEvent","action":"OBSERVE","epcList":[` + bottle1 + `],"sensorElementList":[{"sensorReport":[{"exception":"ALARM_CONDITION"}]}]`,
		"one certificate":                   objectEvent + `,"certificationInfo":"https://example.com/c/1"`,
		"declaration of an error":           objectEvent + `,"errorDeclaration":{"declarationTime":"2026-08-01T00:00:00Z","reason":"urn:epcglobal:cbv:er:incorrect_data"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := decodeEvent(t, members)
			standsAlone(t, name, e)
		})
	}
}

func TestEventTimes(t *testing.T) {
	t.Parallel()
	for text, code := range map[string]string{
		"2026-07-22T06:45:00+08:00":        "",
		"2026-07-22T06:45:00.123456789Z":   "",
		"2026-02-29T06:45:00Z":             "bad_time",
		"2026-07-22T06:45:00":              "bad_time",
		"2026-07-22 06:45:00Z":             "bad_time",
		"2026-07-22":                       "bad_time",
		"2026-07-22T24:45:00Z":             "bad_time",
		"2026-07-22T06:45:00,5Z":           "bad_time",
		"2026-07-22T06:45:00+15:00":        "bad_time",
		"yesterday at about noon, I think": "bad_time",
		"9999-12-31T23:59:59Z":             "time_out_of_range",
		"0001-01-01T00:00:00Z":             "time_out_of_range",
		"1969-12-31T23:59:59Z":             "time_out_of_range",
	} {
		ts, got, bad := parseTime(text)
		if got != code || (bad == "") != (code == "") {
			t.Errorf("%s: code %q (%s), want %q", text, got, bad, code)
		}
		if code == "" && (ts.Text != text || ts.Time.Location().String() != "UTC" || ts.Time.Nanosecond()%1e6 != 0) {
			t.Errorf("%s became %v", text, ts)
		}
	}
	for offset, good := range map[string]bool{
		"+08:00": true, "-03:30": true, "+14:00": true, "-14:00": true, "+14:01": false, "+8:00": false, "Z": false,
		"08:00": false, "+08:60": false, "+0800": false, "": false,
	} {
		if validOffset(offset) != good {
			t.Errorf("offset %q: %v, want %v", offset, !good, good)
		}
	}
}
