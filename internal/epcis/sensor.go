package epcis

// SensorElement is a set of sensor reports with what they have in common (EPCIS 2.0, section 7.3.7).
type SensorElement struct {
	Metadata   SensorMetadata
	Reports    []SensorReport
	Extensions []Extension
}

// SensorMetadata says when and by what the reports of an element were made.
type SensorMetadata struct {
	Time, Start, End Timestamp
	Source           SensorSource
	Extensions       []Extension
}

// SensorSource says where a reading comes from.
type SensorSource struct {
	DeviceID, DeviceMetadata, RawData, DataProcessingMethod, BizRules Identifier
}

// SensorReport is one reading, or an exception that a sensor reported.
type SensorReport struct {
	Type, Exception                                                 Term
	Time                                                            Timestamp
	Source                                                          SensorSource
	Microorganism, ChemicalSubstance                                Identifier
	Value, MinValue, MaxValue, MeanValue, SDev, PercRank, PercValue Decimal
	Component                                                       Term
	StringValue, HexBinaryValue                                     string
	BooleanValue                                                    *bool
	URIValue, CoordinateReferenceSystem                             Identifier
	UOM                                                             string
	Extensions                                                      []Extension

	ns prefixes
}

func (d *decoder) sensors(n *node, p *path) []SensorElement {
	if !d.isArray(n, p) {
		return nil
	}
	list := make([]SensorElement, 0, len(n.kids))
	for i := range n.kids {
		at := p.item(i)
		list = append(list, d.sensor(&n.kids[i], &at))
	}
	return list
}

func (d *decoder) sensor(n *node, p *path) (s SensorElement) {
	if !d.isObject(n, p) {
		return s
	}
	for i := range n.kids {
		m := &n.kids[i]
		at := p.member(m.key)
		switch m.key {
		case "sensorMetadata":
			s.Metadata = d.sensorMetadata(m, &at)
		case "sensorReport":
			s.Reports = d.sensorReports(m, &at)
		default:
			if x, ok := d.extension(m, &at); ok {
				s.Extensions = append(s.Extensions, x)
			}
		}
	}
	d.require(n, p, "sensorReport")
	return s
}

func (d *decoder) sensorMetadata(n *node, p *path) (s SensorMetadata) {
	if !d.isObject(n, p) {
		return s
	}
	for i := range n.kids {
		m := &n.kids[i]
		at := p.member(m.key)
		switch m.key {
		case "time":
			s.Time = d.time(m, &at)
		case "startTime":
			s.Start = d.time(m, &at)
		case "endTime":
			s.End = d.time(m, &at)
		default:
			if d.sensorSource(&s.Source, m, &at) {
				continue
			}
			if x, ok := d.extension(m, &at); ok {
				s.Extensions = append(s.Extensions, x)
			}
		}
	}
	if !s.Start.IsZero() && !s.End.IsZero() && s.End.Time.Before(s.Start.Time) {
		at := p.member("endTime")
		d.add(&at, "contradiction", "the period ends before it starts")
	}
	return s
}

// sensorSource reads a member that metadata and reports have in common; false when m is another one.
func (d *decoder) sensorSource(s *SensorSource, m *node, p *path) bool {
	switch m.key {
	case "deviceID":
		s.DeviceID = d.identifier(m, p)
	case "deviceMetadata":
		s.DeviceMetadata = d.identifier(m, p)
	case "rawData":
		s.RawData = d.identifier(m, p)
	case "dataProcessingMethod":
		s.DataProcessingMethod = d.identifier(m, p)
	case "bizRules":
		s.BizRules = d.identifier(m, p)
	default:
		return false
	}
	return true
}

func (d *decoder) sensorReports(n *node, p *path) []SensorReport {
	if !d.isArray(n, p) {
		return nil
	}
	if len(n.kids) == 0 {
		d.add(p, "empty", "a sensor element has at least one report")
	}
	list := make([]SensorReport, 0, len(n.kids))
	for i := range n.kids {
		at := p.item(i)
		list = append(list, d.sensorReport(&n.kids[i], &at))
	}
	return list
}

func (d *decoder) sensorReport(n *node, p *path) (r SensorReport) {
	if !d.isObject(n, p) {
		return r
	}
	for i := range n.kids {
		m := &n.kids[i]
		at := p.member(m.key)
		if d.sensorSource(&r.Source, m, &at) || d.sensorNumber(&r, m, &at) || d.sensorField(&r, m, &at) {
			continue
		}
		if x, ok := d.extension(m, &at); ok {
			r.Extensions = append(r.Extensions, x)
		}
	}
	r.ns = d.ns
	d.sensorRules(&r, n, p)
	return r
}

func (d *decoder) sensorNumber(r *SensorReport, m *node, p *path) bool {
	var into *Decimal
	switch m.key {
	case "value":
		into = &r.Value
	case "minValue":
		into = &r.MinValue
	case "maxValue":
		into = &r.MaxValue
	case "meanValue":
		into = &r.MeanValue
	case "sDev":
		into = &r.SDev
	case "percRank":
		into = &r.PercRank
	case "percValue":
		into = &r.PercValue
	default:
		return false
	}
	*into = d.number(m, p)
	return true
}

func (d *decoder) sensorField(r *SensorReport, m *node, p *path) bool {
	switch m.key {
	case "type":
		r.Type = d.term(m, p, measurementTypes)
	case "exception":
		r.Exception = d.term(m, p, sensorAlerts)
	case "time":
		r.Time = d.time(m, p)
	case "microorganism":
		r.Microorganism = d.identifier(m, p)
	case "chemicalSubstance":
		r.ChemicalSubstance = d.identifier(m, p)
	case "component":
		r.Component = d.term(m, p, components)
	case "stringValue":
		r.StringValue, _ = d.str(m, p)
	case "booleanValue":
		r.BooleanValue = d.boolean(m, p)
	case "hexBinaryValue":
		r.HexBinaryValue = d.hex(m, p)
	case "uriValue":
		r.URIValue = d.identifier(m, p)
	case "uom":
		r.UOM = d.unit(m, p)
	case "coordinateReferenceSystem":
		r.CoordinateReferenceSystem = d.identifier(m, p)
	default:
		return false
	}
	return true
}

func (d *decoder) boolean(n *node, p *path) *bool {
	if n.kind != isBool {
		d.add(p, "wrong_type", "true or false without quotation marks is wanted; this is %s", n.kind)
		return nil
	}
	v := n.text == "true"
	return &v
}

func (d *decoder) hex(n *node, p *path) string {
	s, ok := d.str(n, p)
	for i := range len(s) {
		c := s[i] | 0x20
		ok = ok && (c-'a' <= 5 || s[i]-'0' <= 9)
	}
	if n.kind == isString && s != "" && (!ok || len(s)%2 != 0) {
		d.add(p, "bad_hex", "a binary value is an even number of hexadecimal digits")
	}
	return s
}

// sensorRules checks what the fields of one report say together.
func (d *decoder) sensorRules(r *SensorReport, n *node, p *path) {
	if n.get("type") == nil && n.get("exception") == nil {
		d.missing(p, "type", "the measurement type (or an exception)")
	}
	if r.MinValue != "" && r.MaxValue != "" && r.MaxValue.Float64() < r.MinValue.Float64() {
		at := p.member("maxValue")
		d.add(&at, "contradiction", "the greatest value is below the least")
	}
	if rank := r.PercRank.Float64(); rank < 0 || rank > 100 {
		at := p.member("percRank")
		d.add(&at, "out_of_range", "a percentile rank is from 0 to 100")
	}
	if (n.get("percRank") == nil) != (n.get("percValue") == nil) {
		d.add(p, "incomplete", "percRank and percValue stand together or not at all")
	}
	if r.SDev.negative() {
		at := p.member("sDev")
		d.add(&at, "out_of_range", "a standard deviation is not negative")
	}
	if measured := r.Value + r.MinValue + r.MaxValue + r.MeanValue + r.SDev + r.PercValue; measured != "" && n.get("uom") == nil && needsUnit(r.Type) {
		d.missing(p, "uom", "the unit of measure of the value")
	}
}

// needsUnit says whether values of a measurement type mean nothing without their unit.
func needsUnit(t Term) bool {
	switch t {
	case "", gs1Voc + "Dimensionless", gs1Voc + "Count", gs1Voc + "RelativeHumidity", gs1Voc + "VolumeFraction":
		return false
	}
	return measurementTypes.words[t.Word()]
}
