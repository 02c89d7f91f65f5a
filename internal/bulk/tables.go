package bulk

import "github.com/haisu-trace/haisu/internal/lang"

var text = lang.ZhEn

// gtinColumn and lotColumn are the same in every table.
var (
	gtinColumn = Column{
		Name: "gtin", Title: text("商品条码", "GTIN"), Aliases: []string{"条码", "国际条码", "商品条形码", "ean", "upc", "barcode", "gtin/ean", "69码"}, Required: true,
		Help: text("8、12、13 或 14 位数字。单元格请设为“文本”，否则 Excel 会丢掉开头的 0，或写成 6.90123E+12。",
			"8, 12, 13 or 14 digits. Format the cells as text, or Excel drops zeros in front and writes 6.90123E+12."),
		Examples: []string{"06901234567892", "06901234567892"},
	}
	lotColumn = Column{
		Name: "lot", Title: text("批号", "Lot"), Aliases: []string{"批次", "批次号", "生产批号", "批次编号", "batch", "lot number", "batch number", "lot no"}, Required: true,
		Help:     text("与包装上印的一致，最多 20 个字母、数字或符号，区分大小写。", "As printed on the package: at most 20 letters, digits and signs; case matters."),
		Examples: []string{"L2503A", "L2503B"},
	}
)

var tables = map[Kind][]Column{
	Products: {
		gtinColumn,
		{Name: "name_zh", Title: text("商品名称", "Chinese name"), Aliases: []string{"品名", "中文名称", "名称", "商品中文名称", "product name", "name zh", "product name zh"},
			Help: text("中文或英文名称至少填一个。", "A Chinese or an English name is needed."), Examples: []string{"陈年白兰地", "白兰地礼盒"}},
		{Name: "name_en", Title: text("英文名称", "English name"), Aliases: []string{"英文品名", "商品英文名称", "name en", "name"},
			Examples: []string{"Aged brandy", ""}},
		{Name: "category", Title: text("类别", "Category"), Aliases: []string{"品类", "商品类别", "分类", "商品分类", "product category"}, Required: true,
			Help: text("类别名称或代码，见下表。", "The name or the code of a category; they are listed below."), Examples: []string{"烈酒", "spirits"}},
		{Name: "brand_zh", Title: text("品牌", "Chinese brand"), Aliases: []string{"中文品牌", "品牌名称", "brand"}, Examples: []string{"示例", ""}},
		{Name: "brand_en", Title: text("英文品牌", "English brand"), Aliases: []string{"brand name"}, Examples: []string{"Example", ""}},
		{Name: "origin", Title: text("原产国", "Country of origin"), Aliases: []string{"原产地", "产地", "国家", "origin", "country"},
			Help: text("两个字母的国家（地区）代码，如 FR，或常用中文名称。", "The two-letter code, such as FR, or the usual name."), Examples: []string{"FR", "法国"}},
		{Name: "net", Title: text("净含量", "Net content"), Aliases: []string{"规格", "净重", "net contents", "net weight", "size"}, Examples: []string{"700 mL", ""}},
		{Name: "description_zh", Title: text("描述", "Chinese description"), Aliases: []string{"商品描述", "中文描述", "description"}},
		{Name: "description_en", Title: text("英文描述", "English description")},
		{Name: "lot_hint_zh", Title: text("批号位置", "Lot hint in Chinese"), Aliases: []string{"批号印在哪里"},
			Help:     text("消费者在包装上哪里能找到批号。", "Where on the package a consumer finds the lot."),
			Examples: []string{"瓶底喷码", ""}},
		{Name: "lot_hint_en", Title: text("英文批号位置", "Lot hint in English")},
	},
	Lots: {
		gtinColumn, lotColumn,
		{Name: "produced", Title: text("生产日期", "Production date"), Aliases: []string{"制造日期", "产日期", "produced", "manufactured", "manufacturing date", "mfg date"},
			Help:     text("2025-03-01、2025/3/1、20250301 或 2025年3月1日。", "2025-03-01, 2025/3/1, 20250301 or 2025年3月1日."),
			Examples: []string{"2025-03-01", "2025年3月8日"}},
		{Name: "expires", Title: text("到期日期", "Expiry date"), Aliases: []string{"保质期至", "有效期至", "失效日期", "有效期", "到期日", "expires", "expiry", "best before", "exp date"},
			Help:     text("日期，不是天数。", "A date, not a number of days."),
			Examples: []string{"2035-03-01", ""}},
		{Name: "quantity", Title: text("数量", "Quantity"), Aliases: []string{"件数", "qty", "units"}, Help: text("件数，整数。", "A whole number of units."), Examples: []string{"12000", ""}},
		{Name: "declaration", Title: text("报关单号", "Customs declaration"), Aliases: []string{"海关报关单号", "报关单编号", "declaration number", "customs declaration number"},
			Examples: []string{"460120251000000001", ""}},
		{Name: "inspection", Title: text("检验检疫证号", "Inspection certificate"), Aliases: []string{"检验检疫证书编号", "检验检疫证明编号", "卫生证书编号", "inspection number", "inspection certificate number"}},
	},
	Codes: {
		{Name: "code", Title: text("溯源码", "Code"), Aliases: []string{"免税溯源码", "离岛免税溯源码", "标签码", "外部码", "label", "label code", "duty-free code", "foreign code"}, Required: true,
			Help:     text("标签上印的码，原样填写；列请设为“文本”。", "As printed on the label; format the column as text."),
			Examples: []string{"HNMS0000000001", "HNMS0000000002"}},
		gtinColumn, lotColumn,
		{Name: "serial", Title: text("系列号", "Serial"), Aliases: []string{"序列号", "追溯码系列号", "serial number", "sn"},
			Help:     text("这一件商品的系列号；留空表示这个码代表整批。", "Of the very unit; left empty, the code stands for the lot."),
			Examples: []string{"0F3K9T2MQ8ZA7C1B", ""}},
		{Name: "scheme", Title: text("码制", "Scheme"), Aliases: []string{"码类型", "编码体系"},
			Help:     text("留空即离岛免税商品溯源码（hainan_duty_free）；其他如 udi、brand。", "Empty: the official duty-free label (hainan_duty_free); others are udi or brand."),
			Examples: []string{"", "hainan_duty_free"}},
	},
	Events: eventColumns,
}

func optional(c Column) Column {
	c.Required = false
	return c
}

func examples(c Column, cells ...string) Column {
	c.Examples = cells
	return c
}

var eventColumns = []Column{
	{Name: "event", Title: text("事件编号", "Event"), Aliases: []string{"单号", "事件号", "event key", "event no", "event number"},
		Help: text("贵司自己的编号。编号相同、前后相连的各行是同一个事件；留空则每行是一个事件。同一编号只能表示同一个事件。",
			"A number of your own. Rows with one number that follow one another are one event; a row without is an event by itself. A number stands for one event for ever."),
		Examples: []string{"GR-20250301-01", "GR-20250301-01", "SH-20250305-07"}},
	{Name: "type", Title: text("事件类型", "Event type"), Aliases: []string{"类型"},
		Help: text("物品（默认）、聚合、交易、转换、关联，或 ObjectEvent 等。", "object (the default), aggregation, transaction, transformation, association; or ObjectEvent and so on."), Examples: []string{"物品", "", "聚合"}},
	{Name: "time", Title: text("时间", "Time"), Aliases: []string{"事件时间", "发生时间", "日期时间", "event time", "date time"}, Required: true,
		Help: text("日期和时刻，如 2025-03-01 10:30。", "Date and time of day, such as 2025-03-01 10:30."), Examples: []string{"2025-03-01 10:30", "", "2025年3月5日 8:00"}},
	{Name: "zone", Title: text("时区", "Time zone"), Aliases: []string{"时区偏移", "timezone", "offset"},
		Help: text("如 +08:00；留空即北京时间。", "Such as +01:00; empty: +08:00, the time of Beijing."), Examples: []string{"", "", "+08:00"}},
	{Name: "action", Title: text("动作", "Action"), Aliases: []string{"操作"},
		Help: text("新增 ADD、观察 OBSERVE、删除 DELETE。留空：赋码、装箱为 ADD，注销、拆箱为 DELETE，其余为 OBSERVE。",
			"ADD, OBSERVE or DELETE. Empty: ADD for commissioning and packing, DELETE for decommissioning and unpacking, else OBSERVE."), Examples: []string{"", "", "ADD"}},
	{Name: "step", Title: text("业务步骤", "Business step"), Aliases: []string{"步骤", "业务环节", "环节", "biz step", "bizstep"}, Required: true,
		Help: text("名称或 CBV 词语，见下表。", "A name or a word of CBV 2.0; they are listed below."), Examples: []string{"收货", "", "packing"}},
	{Name: "disposition", Title: text("状态", "Disposition"), Aliases: []string{"商品状态"}, Help: text("CBV 词语，如 in_transit。", "A word of CBV 2.0, such as in_transit.")},
	{Name: "read_point", Title: text("读取点", "Read point"), Aliases: []string{"读取地点", "地点", "readpoint"},
		Help: text("13 位 GLN，或 SGLN 的 URN 或链接。", "A GLN of 13 digits, or an SGLN as URN or link."), Examples: []string{"6901234500004", "", "6901234500004"}},
	{Name: "location", Title: text("业务地点", "Business location"), Aliases: []string{"所在地", "仓库", "biz location", "bizlocation", "warehouse"},
		Help: text("事件之后商品所在的地方，写法同上。", "Where the goods are afterwards; written likewise."), Examples: []string{"6901234500004", "", ""}},
	{Name: "role", Title: text("投入产出", "Role"), Aliases: []string{"角色", "input output"}, Help: text("只用于转换：投入 input 或产出 output。", "For transformations alone: input or output.")},
	{Name: "epc", Title: text("对象编码", "EPC"), Aliases: []string{"对象", "追溯码", "物品编码", "sscc", "epc class", "digital link"},
		Help: text("一件、一批或一个物流单元：EPC URN、Digital Link、(01)…(21)… 或 18 位 SSCC。也可改填条码、批号、系列号。",
			"A unit, a lot or a logistic unit: EPC URN, Digital Link, (01)…(21)… or an SSCC of 18 digits. Or fill GTIN, lot and serial instead.")},
	examples(optional(gtinColumn), "06901234567892", "06901234567892", "06901234567892"),
	examples(optional(lotColumn), "L2503A", "L2503B", "L2503A"),
	{Name: "serial", Title: text("系列号", "Serial"), Aliases: []string{"序列号", "serial number", "sn"}},
	{Name: "quantity", Title: text("数量", "Quantity"), Aliases: []string{"件数", "qty"}, Help: text("一批或一种商品的数量。", "Of a lot or a product."), Examples: []string{"600", "400", "24"}},
	{Name: "unit", Title: text("计量单位", "Unit"), Aliases: []string{"单位", "uom"}, Help: text("计件时留空；计重等用 UN/ECE 代码，如 KGM。", "Empty for pieces; else a code of UN/ECE, such as KGM.")},
	{Name: "parent", Title: text("容器编码", "Parent"), Aliases: []string{"上级编码", "箱码", "托盘", "父级", "parent id"}, Help: text("装箱、关联时的容器，写法同对象编码。", "What the things are packed into or belong to; written as EPC."),
		Examples: []string{"", "", "106901234500000010"}},
	{Name: "source", Title: text("发货方", "Source"), Aliases: []string{"来源", "from"}, Help: text("13 位 GLN，或参与方的 URN 或链接。", "A GLN of 13 digits, or a party as URN or link."), Examples: []string{"6901234500011", "", ""}},
	{Name: "destination", Title: text("收货方", "Destination"), Aliases: []string{"去向", "to"}, Help: text("写法同上。", "Likewise."), Examples: []string{"6901234500004", "", ""}},
	{Name: "document", Title: text("单据号", "Document number"), Aliases: []string{"单证号", "业务单号", "document", "transaction"},
		Help: text("订单、发票、提单等的编号；贵司须有 GLN。", "Of an order, an invoice, a bill of lading; your firm needs a GLN."), Examples: []string{"", "", ""}},
	{Name: "document_type", Title: text("单据类型", "Document type"), Aliases: []string{"单证类型", "transaction type"},
		Help: text("po、inv、bol、desadv、recadv 等，或 采购订单、发票、提单、发货通知、收货通知。", "po, inv, bol, desadv, recadv and so on.")},
}
