package trace

import "github.com/haisu-trace/haisu/internal/lang"

// say is a sentence in the languages of the public pages.
type say struct{ zh, en string }

func (s say) in(tag string) string {
	if tag == lang.En {
		return s.en
	}
	return s.zh
}

var headlines = map[string]struct{ title, todo say }{
	HeadRecalled: {
		say{"正在召回", "Under recall"},
		say{"停止购买和使用，保留商品和凭证，联系店员或召回企业。", "Do not buy or use it. Keep the product and the receipt, and ask the staff or the recalling firm."},
	},
	HeadWarning: {
		say{"有风险预警", "A safety warning is in force"},
		say{"请先不要购买或使用，看下面的提示，或询问店员。", "Do not buy or use it for now. Read the advice below or ask the staff."},
	},
	HeadUnconfirmed: {
		say{"暂时无法确认是否安全", "Safety cannot be confirmed right now"},
		say{"请稍后再扫一次；确认之前请不要食用或使用，可询问店员。", "Scan again in a moment. Do not eat or use it before that; ask the staff."},
	},
	HeadVoid: {
		say{"此码已作废", "This code has been withdrawn"},
		say{"不要购买，请交给店员核查，也可以举报。", "Do not buy it. Show it to the staff; you can also report it."},
	},
	HeadSuspicious: {
		say{"此码有疑点", "This code looks suspicious"},
		say{"码可能被复制。不要购买，请店员核查，也可以举报。", "The code may have been copied. Do not buy it, ask the staff to check; you can also report it."},
	},
	HeadUnknown: {
		say{"没有查到这个码", "This code is not known here"},
		say{"请核对号码后再查一次；免税店内的商品请询问店员。", "Check the number and try again. In a duty-free shop, ask the staff."},
	},
	HeadCodeValid: {
		say{"此码有效，未发现问题", "The code is valid and nothing is known against it"},
		say{"码可以被复制：请再核对批号、封口和包装，如有不符请询问店员。", "A code can be copied: compare the lot number, the seal and the packaging, and ask the staff if anything differs."},
	},
}

var levelNames = map[string]say{
	"red": {"红色", "red"}, "orange": {"橙色", "orange"}, "yellow": {"黄色", "yellow"}, "blue": {"蓝色", "blue"},
}

var authTexts = map[string]say{
	AuthIssued:         {"此码由登记企业签发，登记在册。这不能证明瓶中之物，因为码可以被复制。", "The code was issued by a registered firm. That does not prove what is inside: a printed code can be copied."},
	AuthUnknownUnit:    {"商品已登记，但没有查到这一件（或这一批）的记录。", "The product is registered, but this very unit (or lot) is not."},
	AuthUnknownProduct: {"没有企业登记过这个商品。", "No firm has registered this product."},
	AuthSuspicious:     {"此码已登记，但它的扫码或流通记录有矛盾。", "The code is registered, but its scans or its history contradict each other."},
	AuthVoid:           {"签发企业已将此码作废。", "The firm that issued this code has withdrawn it."},
}

var safetyTexts = map[string]say{
	SafeNoneKnown:   {"截至查询时，没有针对它的有效预警或召回。", "At this moment no warning or recall is in force against it."},
	SafeWarning:     {"有针对它的有效预警。", "A warning is in force against it."},
	SafeRecalled:    {"它在召回范围内。", "It is within the scope of a recall."},
	SafeUnconfirmed: {"暂时读不到最新预警，不能说它安全。", "The latest warnings cannot be read right now, so nothing is said about its safety."},
}

var saleTexts = map[string]say{
	SaleUnsold:       {"没有售出记录。", "No sale is recorded."},
	SaleSold:         {"已售出。", "It has been sold."},
	SaleSoldDutyFree: {"已作为离岛免税品售出，不得再次销售。", "It was sold duty-free to a traveller leaving the island and must not be resold."},
}

// The findings about codes, scans and sales.
var findingTexts = map[string]struct{ title, text, todo say }{
	"lot_mismatch": {
		say{"码上的批号与登记不符", "The lot in the code is not the registered one"},
		say{"签发这个码的企业登记的是另一个批号。", "The firm that issued this code registered another lot for it."},
		say{"不要购买，请店员核查。", "Do not buy it; ask the staff to check."},
	},
	"many_scanners": {
		say{"很多人扫过同一个码", "Many people have scanned this one code"},
		say{"一件商品的码被不同的人多次扫描，可能被复制。", "The code of a single unit was scanned by many different people. It may have been copied."},
		say{"请店员核查后再决定。", "Ask the staff to check before you decide."},
	},
	"far_apart": {
		say{"同一个码短时间内在两地被扫", "Scanned in two places within an hour"},
		say{"一件商品不可能同时在两个地方，码可能被复制。", "One unit cannot be in two places at once. The code may have been copied."},
		say{"不要购买，请店员核查，也可以举报。", "Do not buy it; ask the staff to check. You can also report it."},
	},
	"sold_twice": {
		say{"登记了两次售出", "Two sales are recorded"},
		say{"同一件商品有两次零售记录，其中至少一次不是它。", "One unit has two retail sales; at least one of them was not this unit."},
		say{"不要购买，请店员核查，也可以举报。", "Do not buy it; ask the staff to check. You can also report it."},
	},
	"void": {
		say{"此码已作废", "The code has been withdrawn"},
		say{"标签已销毁或从未使用，不应出现在商品上。", "Its label was destroyed or never used and should not be on a product."},
		say{"不要购买，请店员核查，也可以举报。", "Do not buy it; ask the staff to check. You can also report it."},
	},
	"not_activated": {
		say{"尚未登记贴标", "Not yet reported as put on goods"},
		say{"此码已发放，但企业还没有登记贴在商品上。标签可能刚刚贴好，登记尚未上传。", "The code was issued, but the firm has not reported yet that its label is on goods. It may have been put on just now."},
		say{"如有疑问，请店员核查。", "If in doubt, ask the staff."},
	},
	"scanned_unlabelled": {
		say{"尚未登记贴标，却已多次被扫", "Scanned several times though not reported as put on goods"},
		say{"企业还没有登记此码贴在商品上，已有多人扫过。标签可能外流，也可能是登记迟了。", "Several people have scanned it, though the firm has not reported that its label is on goods. The label may have got into other hands, or the report is late."},
		say{"请店员核查后再决定。", "Ask the staff to check before you decide."},
	},
	"duty_free_sold": {
		say{"已作为离岛免税品售出", "Sold duty-free to a traveller"},
		say{"离岛免税品只供旅客自用，再次销售是违法行为，由海关查处。", "Duty-free goods are for the traveller's own use. Reselling them is illegal; customs handles reports."},
		say{"如果有人向你出售，请勿购买并举报。", "If somebody offers it for sale, do not buy it and report it."},
	},
	"expired": {
		say{"已过保质期", "Past its date"},
		say{"登记的保质期已过。", "The registered expiry date has passed."},
		say{"不要购买或食用，请告知店员。", "Do not buy or eat it; tell the staff."},
	},
	"unit_unknown": {
		say{"没有查到这一件", "This unit is not known"},
		say{"下面是同一批次或同一商品的信息，不是这一件的。", "What follows is about the lot or the product, not about this unit."},
		say{"请核对号码，或请店员核查。", "Check the number, or ask the staff."},
	},
	"lot_unknown": {
		say{"没有查到这个批号", "This lot is not known"},
		say{"下面是同一商品的信息，不是这一批的。", "What follows is about the product, not about this lot."},
		say{"请核对批号。", "Check the lot number."},
	},
	"product_unknown": {
		say{"没有查到这个商品", "This product is not known"},
		say{"没有企业在这里登记过这个商品，因此没有追溯信息。预警仍已查过。", "No firm has registered this product here, so there is no history. Warnings were checked all the same."},
		say{"请核对号码，或询问店员。", "Check the number, or ask the staff."},
	},
	"code_unknown": {
		say{"没有查到这个码", "This code is not known"},
		say{"它不是这里登记的追溯码，也不是商品条码。", "It is neither a registered code nor a product bar code."},
		say{"请核对号码，或询问店员。", "Check the number, or ask the staff."},
	},
}

var (
	nothingToCheck = say{"这个码没有对应的商品，因此没有可以核对的预警。", "No product belongs to this code, so there are no warnings to check."}
	checkPackage   = say{"这条预警只涉及部分批次或时段。请核对包装上的批号和日期。", "This warning concerns certain lots or dates only. Check the lot number and date on the package."}
	lotAlike       = say{"你的批号与预警中的批号相似，但不完全一致。请再看一眼包装。", "Your lot number resembles one in the warning but is not identical. Look at the package again."}
	noticeText     = say{"国外通报，供参考；不是本省发布的预警。", "A foreign notice, for information; it is no warning of this province."}
	possibleHead   = say{"部分批次有风险预警", "Some lots are under a safety warning"}
	possibleTodo   = say{"请核对包装上的批号和日期；对得上就不要购买或使用。", "Compare the lot number and date on the package; if they match, do not buy or use it."}
)
