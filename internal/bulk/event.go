package bulk

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/text/width"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/sheet"
	"github.com/haisu-trace/haisu/internal/trace"
)

// maxEventRows is how many rows one event may have: as many things as fit into a stored event in their longest form.
const maxEventRows = 5000

// eventTypes, actions, roles and documents are what the cells of these columns may say, folded.
var (
	eventTypes = words(`ObjectEvent object 物品 记录 对象|AggregationEvent aggregation 聚合 装箱 组箱 装箱拆箱|TransactionEvent transaction 交易 业务|
		TransformationEvent transformation 转换 加工 转化|AssociationEvent association 关联`)
	actions   = words("ADD 新增 添加|OBSERVE 观察 记录|DELETE 删除 移除")
	roles     = words("input 投入 in 输入|output 产出 out 输出")
	documents = words("po 采购订单 订单|inv 发票|bol 提单 运单|desadv 发货通知 发货单 送货单|recadv 收货通知 收货单 入库单|prodorder 生产订单|rma 退货单|cert 证书|testres 检测报告|pedigree|poc|testprd|upevt")
	steps     = func() map[string]string {
		m := words(`commissioning 生产 赋码并生产|shipping 出库 发运 出货|receiving 收货入库 验收入库|storing 存储 仓储|retail_selling 零售 销售 售出|
			packing 打包|unpacking 拆箱|accepting 验收|destroying 报废|stocking 陈列|arriving 到港 到货|departing 离港|inspecting 检验 检查|holding 封存|transporting 在途|
			cycle_counting 盘点|stock_taking 全面盘点`)
		for word, name := range trace.StepNames() {
			m[fold(word)] = word
			for _, n := range name {
				m[fold(n)] = word
			}
		}
		return m
	}()
)

// words reads a list of words with their other names by any of them.
func words(list string) map[string]string {
	m := names(list)
	for entry := range strings.SplitSeq(list, "|") {
		word := strings.Fields(entry)[0]
		m[fold(word)] = word
	}
	return m
}

// word reads a cell by a list of words.
func word(list map[string]string, wrongCode string) func(sheet.Cell) (string, *wrong) {
	return func(c sheet.Cell) (string, *wrong) {
		s, w := prose(c)
		if w != nil {
			return "", w
		}
		if v, ok := list[fold(s)]; ok {
			return v, nil
		}
		return "", bad(wrongCode)
	}
}

// eventJSON is an event as EPCIS 2.0 writes it, ready for internal/epcis, which alone decides whether it is right.
type eventJSON struct {
	Context      string            `json:"@context"`
	Type         string            `json:"type"`
	ID           string            `json:"eventID,omitempty"`
	Time         string            `json:"eventTime"`
	Offset       string            `json:"eventTimeZoneOffset"`
	Action       string            `json:"action,omitempty"`
	Step         string            `json:"bizStep,omitempty"`
	Disposition  string            `json:"disposition,omitempty"`
	ReadPoint    *idJSON           `json:"readPoint,omitempty"`
	Location     *idJSON           `json:"bizLocation,omitempty"`
	Parent       string            `json:"parentID,omitempty"`
	EPCs         []string          `json:"epcList,omitempty"`
	Quantities   []quantityJSON    `json:"quantityList,omitempty"`
	Children     []string          `json:"childEPCs,omitempty"`
	ChildAmounts []quantityJSON    `json:"childQuantityList,omitempty"`
	Inputs       []string          `json:"inputEPCList,omitempty"`
	InAmounts    []quantityJSON    `json:"inputQuantityList,omitempty"`
	Outputs      []string          `json:"outputEPCList,omitempty"`
	OutAmounts   []quantityJSON    `json:"outputQuantityList,omitempty"`
	Transactions []transactionJSON `json:"bizTransactionList,omitempty"`
	Sources      []sourceJSON      `json:"sourceList,omitempty"`
	Destinations []destinationJSON `json:"destinationList,omitempty"`
	MasterData   map[string]string `json:"ilmd,omitempty"`
}

type idJSON struct {
	ID string `json:"id"`
}

type quantityJSON struct {
	Class  string      `json:"epcClass"`
	Amount json.Number `json:"quantity,omitempty"`
	Unit   string      `json:"uom,omitempty"`
}

type transactionJSON struct {
	Type string `json:"type,omitempty"`
	ID   string `json:"bizTransaction"`
}

type sourceJSON struct {
	Type string `json:"type"`
	ID   string `json:"source"`
}

type destinationJSON struct {
	Type string `json:"type"`
	ID   string `json:"destination"`
}

const epcisContext = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"

// eventBuilder makes one event of the rows of one key.
type eventBuilder struct {
	firm firm.Firm
	rows []*row
	json eventJSON
	from map[string][]int // by list of the event: which row each of its members is from
	lot  string           // of the units, when all have one
	lots int
}

// event makes the event of rows, whose problems it notes; nil if there are any.
func buildEvent(f firm.Firm, rows []*row) *epcis.Event {
	b := &eventBuilder{firm: f, rows: rows, from: map[string][]int{}}
	b.head()
	for i, r := range rows {
		b.thing(i, r)
	}
	for _, r := range rows {
		if len(r.problems) > 0 {
			return nil
		}
	}
	b.defaults()
	return b.decode()
}

// shared are the columns that say something of the whole event.
var shared = []string{
	"type", "time", "zone", "action", "step", "disposition", "read_point", "location", "parent", "source", "destination", "document", "document_type",
}

// head reads what the first row says of the event; later rows say the same or nothing.
func (b *eventBuilder) head() {
	r := b.rows[0]
	r.required()
	for _, other := range b.rows[1:] {
		for _, column := range shared {
			if c := other.cell(column); c.Kind != sheet.Empty && c != r.cell(column) {
				other.add(column, bad("event_differs", strconv.Itoa(r.Number)))
			}
		}
	}
	e := &b.json
	e.Context, e.Type = epcisContext, read(r, "type", word(eventTypes, "event_type"))
	if e.Type == "" {
		e.Type = string(epcis.ObjectEvent)
	}
	if key := read(r, "event", code); key != "" {
		e.ID = EventID(b.firm.ID, key)
	}
	if c := r.cell("time"); c.Kind != sheet.Empty {
		var w *wrong
		if e.Time, e.Offset, w = instant(c, r.cell("zone"), r.date1904); w != nil {
			column := "time"
			if w.code == "zone" && r.has("zone") {
				column = "zone"
			}
			r.add(column, w)
		}
	}
	e.Action = read(r, "action", word(actions, "action"))
	e.Step = read(r, "step", word(steps, "step"))
	e.Disposition = read(r, "disposition", func(c sheet.Cell) (string, *wrong) {
		s, w := prose(c)
		return strings.ToLower(s), w
	})
	if s := read(r, "read_point", place); s != "" {
		e.ReadPoint = &idJSON{s}
	}
	if s := read(r, "location", place); s != "" {
		e.Location = &idJSON{s}
	}
	e.Parent = read(r, "parent", identifier)
	if s := read(r, "source", party); s != "" {
		e.Sources = []sourceJSON{{"owning_party", s}}
	}
	if s := read(r, "destination", party); s != "" {
		e.Destinations = []destinationJSON{{"owning_party", s}}
	}
	if s := read(r, "document", b.document); s != "" {
		e.Transactions = []transactionJSON{{read(r, "document_type", word(documents, "document_type")), s}}
	}
}

// EventID is the event ID of a firm's own number for an event: a UUID of version 8 (RFC 9562, 5.8) made of both.
func EventID(firm, key string) string {
	sum := sha256.Sum256([]byte("event\n" + firm + "\n" + key))
	id := sum[:16]
	id[6], id[8] = id[6]&0x0F|0x80, id[8]&0x3F|0x80
	h := hex.EncodeToString(id)
	return "urn:uuid:" + strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// thing reads what one row names, and puts it where the event's type has it.
func (b *eventBuilder) thing(i int, r *row) {
	id, amount := b.named(r)
	role := read(r, "role", word(roles, "role"))
	e := &b.json
	things, amounts, thingList, amountList := &e.EPCs, &e.Quantities, "epcList", "quantityList"
	switch {
	case e.Type == string(epcis.TransformationEvent) && role == "input":
		things, amounts, thingList, amountList = &e.Inputs, &e.InAmounts, "inputEPCList", "inputQuantityList"
	case e.Type == string(epcis.TransformationEvent):
		if role == "" && r.cell("role").Kind == sheet.Empty {
			r.add("role", bad("required"))
		}
		things, amounts, thingList, amountList = &e.Outputs, &e.OutAmounts, "outputEPCList", "outputQuantityList"
	case role != "":
		r.add("role", bad("role_unexpected"))
	case e.Type == string(epcis.AggregationEvent) || e.Type == string(epcis.AssociationEvent):
		things, amounts, thingList, amountList = &e.Children, &e.ChildAmounts, "childEPCs", "childQuantityList"
	}
	switch {
	case id == "":
	case amount != nil:
		amount.Class = id
		*amounts = append(*amounts, *amount)
		b.from[amountList] = append(b.from[amountList], i)
	default:
		*things = append(*things, id)
		b.from[thingList] = append(b.from[thingList], i)
	}
}

// named reads the thing of a row: a code, or GTIN with lot or serial. amount is nil for what is one thing.
func (b *eventBuilder) named(r *row) (id string, amount *quantityJSON) {
	id = read(r, "epc", identifier)
	g, lot, serial := r.gtin(), r.lot(), r.serial()
	quantity, unit := read(r, "quantity", amountCell), strings.ToUpper(read(r, "unit", prose))
	hasGTIN := r.cell("gtin").Kind != sheet.Empty
	switch {
	case r.cell("epc").Kind != sheet.Empty && hasGTIN:
		r.add("epc", bad("epc_and_gtin"))
		return "", nil
	case id != "" || r.cell("epc").Kind != sheet.Empty:
	case !hasGTIN && (lot != "" || serial != ""):
		r.add("gtin", bad("gtin_missing"))
		return "", nil
	case g == "":
		// One row alone may name nothing, if all that is in a parent is meant: EPCIS knows.
		if !hasGTIN && (quantity != "" || len(b.rows) > 1) {
			r.add("gtin", bad("nothing_named"))
		}
		return "", nil
	case serial != "":
		id = gs1.Ref{GTIN: g, Serial: serial}.URI()
		b.lots++
		if b.lots == 1 || b.lot == lot {
			b.lot = lot
		} else {
			b.lot = ""
		}
	default:
		id = gs1.Ref{GTIN: g, Lot: lot}.URI()
	}
	epc, err := gs1.ParseEPC(id)
	if err != nil || id == "" || epc.Kind() == gs1.Instance && quantity == "" {
		return id, nil
	}
	if epc.Kind() == gs1.Instance {
		r.add("quantity", bad("quantity_of_one"))
		return "", nil
	}
	return id, &quantityJSON{Amount: json.Number(quantity), Unit: unit}
}

func amountCell(c sheet.Cell) (string, *wrong) {
	s, w := amount(c)
	if w == nil {
		if whole, rest, ok := strings.Cut(s, "."); ok && strings.Trim(rest, "0") == "" {
			s = whole
		}
		if s = strings.TrimLeft(s, "0"); s == "" || s[0] == '.' {
			s = "0" + s
		}
	}
	return s, w
}

// defaults fills in the action as CBV 2.0 has it for the business step, and the lot of what begins to exist.
func (b *eventBuilder) defaults() {
	e := &b.json
	if e.Action == "" && e.Type != string(epcis.TransformationEvent) {
		switch e.Step {
		case "commissioning", "creating_class_instance", "packing":
			e.Action = "ADD"
		case "decommissioning", "unpacking":
			e.Action = "DELETE"
		default:
			e.Action = "OBSERVE"
		}
	}
	if e.Type == string(epcis.ObjectEvent) && e.Action == "ADD" && b.lot != "" && b.lots == len(b.rows) {
		e.MasterData = map[string]string{"cbvmda:lotNumber": b.lot}
	}
}

// eventPointers are the columns of an event's fields.
var eventPointers = map[string]string{
	"": "event", "/eventTime": "time", "/eventTimeZoneOffset": "zone", "/action": "action", "/bizStep": "step", "/disposition": "disposition",
	"/readPoint": "read_point", "/bizLocation": "location", "/parentID": "parent", "/sourceList": "source", "/destinationList": "destination",
	"/bizTransactionList": "document", "/type": "type", "/epcList": "epc", "/childEPCs": "epc", "/inputEPCList": "epc", "/outputEPCList": "epc",
	"/quantityList": "gtin", "/childQuantityList": "gtin", "/inputQuantityList": "gtin", "/outputQuantityList": "gtin", "/ilmd": "lot",
}

// decode hands the event to the decoder of EPCIS, whose refusals it places.
func (b *eventBuilder) decode() *epcis.Event {
	body, err := json.Marshal(b.json)
	if err != nil {
		b.refuse(fault.New(fault.Invalid, "event_invalid", "the event cannot be written"))
		return nil
	}
	e, err := epcis.DecodeEvent(body, trace.CaptureLimits)
	if bad, ok := errors.AsType[*fault.Error](err); ok {
		b.refuse(bad)
		return nil
	}
	if err != nil {
		b.refuse(fault.New(fault.Invalid, "event_invalid", "the event cannot be read"))
		return nil
	}
	return e
}

// refuse notes each refusal in the row that it is about: that of the list member, or the first.
func (b *eventBuilder) refuse(e *fault.Error) {
	if len(e.Fields) == 0 {
		b.rows[0].refuse(e, eventPointers)
		return
	}
	for _, f := range e.Fields {
		one := *e
		one.Fields = []fault.Field{f}
		parts := strings.Split(f.Pointer, "/")
		r := b.rows[0]
		if len(parts) > 2 {
			if i, err := strconv.Atoi(parts[2]); err == nil && i >= 0 && i < len(b.from[parts[1]]) {
				r = b.rows[b.from[parts[1]][i]]
			}
		}
		r.refuse(&one, eventPointers)
	}
}

var thirteen = regexp.MustCompile(`^[0-9]{13}$`)

// identifier reads a thing in any of the forms that people and scanners write.
func identifier(c sheet.Cell) (string, *wrong) {
	s, w := code(c)
	if w != nil {
		return "", w
	}
	switch {
	case len(s) == 18 && strings.Trim(s, "0123456789") == "":
		epc, err := gs1.ParseEPC("https://id.gs1.org/00/" + s)
		if err != nil {
			return "", bad("sscc")
		}
		return epc.String(), nil
	case strings.HasPrefix(s, "(00)"):
		return identifier(sheet.Cell{Kind: sheet.Text, Text: strings.TrimSpace(s[4:])})
	case strings.Contains(s, ":"):
		epc, err := gs1.ParseEPC(s)
		if err != nil {
			return "", &wrong{code: "epc", detail: err.Error()}
		}
		return epc.String(), nil
	}
	scanned, err := gs1.ParseScanned(s)
	if err != nil || scanned.Ref.GTIN == "" {
		return "", bad("epc")
	}
	return scanned.Ref.URI(), nil
}

// place and party read a GLN as such (AI 414 and 417), or an identifier.
func place(c sheet.Cell) (string, *wrong) { return location(c, "414", "place") }
func party(c sheet.Cell) (string, *wrong) { return location(c, "417", "party") }

func location(c sheet.Cell, ai, wrongCode string) (string, *wrong) {
	s, w := code(c)
	if w != nil {
		return "", w
	}
	if thirteen.MatchString(s) {
		s = fmt.Sprintf("https://id.gs1.org/%s/%s", ai, s)
	}
	if !strings.Contains(s, ":") {
		return "", bad(wrongCode)
	}
	epc, err := gs1.ParseEPC(s)
	if err != nil {
		return "", bad(wrongCode)
	}
	return epc.String(), nil
}

var documentNumber = regexp.MustCompile(`^[0-9A-Za-z._/~-]{1,60}$`)

// document makes the URI of a business transaction (CBV 2.0, 8.5.2) of the firm's number for it.
func (b *eventBuilder) document(c sheet.Cell) (string, *wrong) {
	s, w := code(c)
	switch {
	case w != nil:
		return "", w
	case strings.Contains(s, ":"):
		return s, nil
	case !documentNumber.MatchString(width.Narrow.String(s)):
		return "", bad("document")
	case len(b.firm.GLNs) == 0:
		return "", bad("document_gln")
	}
	return "urn:epcglobal:cbv:bt:" + b.firm.GLNs[0] + ":" + strings.ReplaceAll(s, "/", "%2F"), nil
}
