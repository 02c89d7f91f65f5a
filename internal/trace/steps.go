package trace

import (
	"slices"

	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/lang"
)

// render makes the public steps of a chain, and says which usual stages of imported goods are missing; logged: and where each event
// stands in the transparency log.
func render(c *chain, firms map[string]firm.Firm, places map[string]firm.Place, logged bool, tag string) []Step {
	var steps []Step
	have := map[string]bool{}
	for _, f := range c.history {
		place, known := places[f.BizLocation]
		if !known {
			place = places[f.ReadPoint]
		}
		stage := stageOf(f.eventDoc, place, firms[f.Firm])
		t := f.Time.UTC()
		step := Step{
			Stage: stage, Time: &t, TimeText: f.TimeText, Title: stepTitle(f.eventDoc, stage, tag), Firm: firms[f.Firm].Name.In(tag),
			Place: placeName(place, tag), Provenance: provenance(firms[f.Firm]), EventID: f.id, Corrected: f.corrected, Document: f.Document,
		}
		if logged {
			step.Log = stepLog(f.leaf)
		}
		if !f.corrected {
			have[stage] = true
		}
		steps = append(steps, step)
	}
	if c.product == nil {
		return steps
	}
	for i, stage := range slices.Backward(usualStages) {
		if !have[stage] {
			steps = insertMissing(steps, i, Step{Stage: stage, Title: stageNames[stage].in(tag), Provenance: ProvMissing})
		}
	}
	return steps
}

// usualStages are the stages of every imported good's chain, in order; each is either told or said to be missing.
var usualStages = []string{"production", "port", "warehouse", "store"}

// insertMissing puts a missing stage before the first step of a later stage.
func insertMissing(steps []Step, rank int, missing Step) []Step {
	for i, s := range steps {
		if at := slices.Index(usualStages, s.Stage); at > rank || s.Stage == "sale" {
			return slices.Insert(steps, i, missing)
		}
	}
	return append(steps, missing)
}

func placeName(p firm.Place, tag string) string {
	name, city := p.Name.In(tag), p.City.In(tag)
	switch {
	case city == "" || name == "":
		return name
	case tag == lang.En:
		return name + ", " + city
	}
	return city + " " + name
}

var stageNames = map[string]say{
	"production": {"生产", "Production"},
	"export":     {"发运", "Export"},
	"port":       {"口岸通关", "Port and customs"},
	"warehouse":  {"保税仓储", "Bonded warehouse"},
	"store":      {"门店上架", "Shop"},
	"sale":       {"售出", "Sale"},
	"other":      {"其他", "Other"},
}

// stageOf tells the stage from the CBV business step and the place.
func stageOf(e *eventDoc, p firm.Place, f firm.Firm) string {
	switch e.Step {
	case "retail_selling":
		return "sale"
	case "creating_class_instance", "assembling":
		return "production"
	case "commissioning":
		// Imported goods often get their codes from the seller, long after production.
		if p.Kind == "port" || p.Kind == "warehouse" || p.Kind == "store" {
			return p.Kind
		}
		return "production"
	}
	switch p.Kind {
	case "plant":
		if e.Step == "shipping" || e.Step == "departing" {
			return "export"
		}
		return "production"
	case "port":
		return "port"
	case "warehouse":
		return "warehouse"
	case "store":
		return "store"
	}
	switch {
	case f.Kind == firm.Authority:
		return "port"
	case e.Step == "shipping" || e.Step == "departing":
		return "export"
	case e.Step == "stocking":
		return "store"
	case e.Step == "storing":
		return "warehouse"
	}
	return "other"
}

func stepTitle(e *eventDoc, stage, tag string) string {
	if e.Step == "commissioning" && stage != "production" {
		return stepNames["encoding"].in(tag)
	}
	if t, ok := stepNames[e.Step]; ok {
		return t.in(tag)
	}
	return typeNames[e.Type].in(tag)
}

// stepNames names CBV 2.0 business steps (7.1).
var stepNames = map[string]say{
	"accepting":               {"接收确认", "Accepted"},
	"arriving":                {"到达", "Arrived"},
	"assembling":              {"组装", "Assembled"},
	"collecting":              {"归集", "Collected"},
	"commissioning":           {"生产并赋码", "Produced and coded"},
	"consigning":              {"托运", "Consigned"},
	"creating_class_instance": {"生产成批", "Produced as a lot"},
	"decommissioning":         {"注销追溯码", "Code retired"},
	"departing":               {"离开", "Departed"},
	"destroying":              {"销毁", "Destroyed"},
	"disassembling":           {"拆解", "Disassembled"},
	"dispensing":              {"配发", "Dispensed"},
	"encoding":                {"赋码", "Coded"},
	"entering_exiting":        {"进出设施", "Entered or left the facility"},
	"holding":                 {"扣留", "Held"},
	"inspecting":              {"查验", "Inspected"},
	"installing":              {"安装", "Installed"},
	"killing":                 {"标签失效", "Tag disabled"},
	"loading":                 {"装载", "Loaded"},
	"other":                   {"其他", "Other"},
	"packing":                 {"装箱", "Packed"},
	"picking":                 {"拣货", "Picked"},
	"receiving":               {"收货", "Received"},
	"removing":                {"取下", "Removed"},
	"repackaging":             {"重新包装", "Repackaged"},
	"repairing":               {"维修", "Repaired"},
	"replacing":               {"更换", "Replaced"},
	"reserving":               {"预留", "Reserved"},
	"retail_selling":          {"零售售出", "Sold at retail"},
	"sampling":                {"抽样", "Sampled"},
	"sensor_reporting":        {"传感器记录", "Sensor reading"},
	"shipping":                {"发货", "Shipped"},
	"staging_outbound":        {"待运", "Staged for shipping"},
	"stocking":                {"上架", "Stocked"},
	"storing":                 {"入库", "Stored"},
	"transporting":            {"运输", "In transport"},
	"unloading":               {"卸货", "Unloaded"},
	"unpacking":               {"开箱", "Unpacked"},
	"void_shipping":           {"取消发货", "Shipment voided"},
}

// StepNames names the business steps of CBV 2.0 by their words. The map is the caller's.
func StepNames() map[string]lang.Text {
	out := make(map[string]lang.Text, len(stepNames))
	for word, name := range stepNames {
		out[word] = lang.ZhEn(name.zh, name.en)
	}
	return out
}

var typeNames = map[string]say{
	"ObjectEvent":         {"记录", "Recorded"},
	"AggregationEvent":    {"装箱或拆箱", "Packed or unpacked"},
	"TransactionEvent":    {"交易", "Transaction"},
	"TransformationEvent": {"加工", "Transformed"},
	"AssociationEvent":    {"关联", "Associated"},
}
