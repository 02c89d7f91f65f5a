package epcis

import (
	"slices"
	"strconv"
)

// extensions writes members of namespaces: {namespace}name=value, sorted, at any depth; comments and what is ignored left out.
func (b *preHash) extensions(xs []Extension, ignored []string) {
	if len(xs) == 0 {
		return
	}
	parts := make([]string, 0, len(xs))
	for _, x := range xs {
		if !slices.Contains(ignored, x.Namespace+x.Name) {
			parts = appendValue(parts, x.full(), x.node, x.ns)
		}
	}
	b.sorted("", parts)
}

// comment is documentation for people and no part of what an event says.
const comment = "{" + rdfs + "}comment"

// appendValue appends the parts that one member makes: one, but for an array one for each item, and none for null.
func appendValue(parts []string, name string, n *node, ns prefixes) []string {
	if name == comment {
		return parts
	}
	switch n.kind {
	case isNull:
		return parts
	case isNumber:
		return append(parts, name+"="+string(jsonDecimal(n.text)))
	case isBool:
		return append(parts, name+"="+n.text)
	case isString:
		if s := text(n.text, ns); s != "" {
			return append(parts, name+"="+s)
		}
		return append(parts, name)
	case isArray:
		for i := range n.kids {
			parts = appendValue(parts, name, &n.kids[i], ns)
		}
		return parts
	}
	inner := make([]string, 0, len(n.kids))
	for i := range n.kids {
		key := n.kids[i].key
		if namespace, local, ok := ns.name(key); ok && namespace != "" {
			key = "{" + namespace + "}" + local
		}
		inner = appendValue(inner, key, &n.kids[i], ns)
	}
	part := preHash(name)
	part.sorted("", inner)
	return append(parts, string(part))
}

func (b *preHash) sensors(list []SensorElement) {
	if len(list) == 0 {
		return
	}
	parts := make([]string, len(list))
	for i, s := range list {
		var part preHash
		part.sensorMetadata(s.Metadata)
		reports := make([]string, len(s.Reports))
		for j := range s.Reports {
			reports[j] = sensorReport(&s.Reports[j])
		}
		part.sorted("sensorReport", reports)
		part.extensions(s.Extensions, nil)
		parts[i] = string(part)
	}
	b.add("sensorElementList")
	b.sorted("sensorElement", parts)
}

func (b *preHash) sensorMetadata(m SensorMetadata) {
	var part preHash
	part.time("time", m.Time)
	part.time("startTime", m.Start)
	part.time("endTime", m.End)
	part.sensorSource(m.Source)
	part.extensions(m.Extensions, nil)
	if len(part) > 0 {
		b.add("sensorMetadata", string(part))
	}
}

func (b *preHash) sensorSource(s SensorSource) {
	b.identifier("deviceID", s.DeviceID)
	b.identifier("deviceMetadata", s.DeviceMetadata)
	b.identifier("rawData", s.RawData)
	b.identifier("dataProcessingMethod", s.DataProcessingMethod)
	b.identifier("bizRules", s.BizRules)
}

func sensorReport(r *SensorReport) string {
	var b preHash
	b.field("type", string(r.Type))
	b.field("exception", string(r.Exception))
	b.sensorSource(r.Source)
	b.time("time", r.Time)
	b.identifier("microorganism", r.Microorganism)
	b.identifier("chemicalSubstance", r.ChemicalSubstance)
	b.field("value", string(r.Value))
	b.field("component", string(r.Component))
	b.field("stringValue", text(r.StringValue, r.ns))
	if r.BooleanValue != nil {
		b.field("booleanValue", strconv.FormatBool(*r.BooleanValue))
	}
	b.field("hexBinaryValue", text(r.HexBinaryValue, r.ns))
	b.identifier("uriValue", r.URIValue)
	b.field("minValue", string(r.MinValue))
	b.field("maxValue", string(r.MaxValue))
	b.field("meanValue", string(r.MeanValue))
	b.field("sDev", string(r.SDev))
	b.field("percRank", string(r.PercRank))
	b.field("percValue", string(r.PercValue))
	b.field("uom", text(r.UOM, r.ns))
	b.identifier("coordinateReferenceSystem", r.CoordinateReferenceSystem)
	b.extensions(r.Extensions, nil)
	return string(b)
}
