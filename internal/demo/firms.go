package demo

import (
	"fmt"

	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
)

// The firms that the code names.
const (
	orvaline  = "orvaline"        // perfume, skin care and spirits, France and Scotland
	alpfeld   = "alpfeld"         // chocolate and watches, Switzerland; health food and devices, United States
	taranui   = "taranui"         // infant formula and health food, New Zealand and the Netherlands
	narisol   = "narisol"         // cosmetics from Korea and Japan, sold by cross-border e-commerce
	yemao     = "hainan-yemao"    // importer
	qiaoyu    = "haikou-qiaoyu"   // domestic agent of narisol
	yugou     = "hainan-yugou"    // platform on which narisol sells
	noordtij  = "noordtij"        // carrier
	chengwan  = "hainan-chengwan" // bonded warehouses
	yuyue     = "hainan-yuyue"    // duty-free shops in Haikou and Bo'ao
	lanan     = "sanya-lanan"     // duty-free shops in Sanya
	customsID = "haikou-customs"  // the authority at the ports
)

// The GS1 company prefixes. All begin with 952, the range that GS1 keeps for demonstrations and examples (GS1 General
// Specifications, GS1 prefixes): no number of the demonstration is that of a real product, firm or place.
const (
	prefixFR, prefixGB = "9520110", "9520150"
	prefixCH, prefixUS = "9520176", "9520100"
	prefixNZ, prefixNL = "9520194", "9520187"
	prefixKR, prefixJP = "9520188", "9520149"
	prefixCarrier      = "9520871"
	prefixCustoms      = "9520690"
	prefixYemao        = "9520691"
	prefixChengwan     = "9520692"
	prefixYuyue        = "9520693"
	prefixLanan        = "9520694"
	prefixQiaoyu       = "9520695"
	prefixYugou        = "9520696"
)

// The digits behind a prefix of 7: of an item, place or party, and of a logistic unit.
const itemDigits, serialWidth = 5, 9

// participants are the twelve firms. The duty-free operators and the importer label goods of others in the bonded warehouse, so they
// have grants for the prefixes that they sell.
func participants() []firm.Firm {
	of := func(id, kind, country, zh, en string, prefixes ...string) firm.Firm {
		return firm.Firm{
			ID: id, Kind: kind, Country: country, Name: lang.ZhEn(zh, en), Prefixes: prefixes, GLNs: []string{gln(prefixes[0], 0)},
		}
	}
	list := []firm.Firm{
		of(orvaline, firm.Producer, "FR", "奥维琳集团", "Groupe Orvaline SA", prefixFR, prefixGB),
		of(alpfeld, firm.Producer, "CH", "阿尔普费尔德集团", "Alpfeld & Brunner AG", prefixCH, prefixUS),
		of(taranui, firm.Producer, "NZ", "塔拉努伊营养品公司", "Taranui Nutrition Ltd", prefixNZ, prefixNL),
		of(narisol, firm.CrossEcom, "KR", "娜芮秀株式会社", "Narisol Co., Ltd.", prefixKR, prefixJP),
		of(yemao, firm.Importer, "CN", "海南椰锚进出口有限公司", "Hainan Yemao Import & Export Co., Ltd.", prefixYemao),
		of(qiaoyu, firm.Agent, "CN", "海口桥屿商务代理有限公司", "Haikou Qiaoyu Agency Co., Ltd.", prefixQiaoyu),
		of(yugou, firm.Platform, "CN", "海南屿购网络科技有限公司", "Hainan Yugou Network Technology Co., Ltd.", prefixYugou),
		of(noordtij, firm.Carrier, "NL", "北汐国际物流公司", "Noordtij Logistics B.V.", prefixCarrier),
		of(chengwan, firm.Warehouse, "CN", "海南澄湾保税仓储有限公司", "Hainan Chengwan Bonded Warehousing Co., Ltd.", prefixChengwan),
		of(yuyue, firm.DutyFree, "CN", "海南屿悦免税品有限公司", "Hainan Yuyue Duty Free Co., Ltd.", prefixYuyue),
		of(lanan, firm.DutyFree, "CN", "三亚澜岸免税品有限公司", "Sanya Lan'an Duty Free Co., Ltd.", prefixLanan),
		of(customsID, firm.Authority, "CN", "海口海关（演示）", "Haikou Customs (demonstration)", prefixCustoms),
	}
	for i := range list {
		switch list[i].ID {
		case yuyue, lanan:
			list[i].Grants = []string{prefixFR, prefixGB, prefixCH, prefixUS, prefixNZ, prefixNL}
		case yemao:
			list[i].Grants = []string{prefixUS}
		case narisol:
			list[i].Agent, list[i].Platform = qiaoyu, yugou
		}
	}
	return list
}

// gln is place or party number n under a company prefix of 7 digits.
func gln(prefix string, n int) string { return checked(fmt.Sprintf("%s%0*d", prefix, itemDigits, n)) }

// gtin is item number n under a company prefix of 7 digits, as 14 digits.
func gtin(prefix string, n int) gs1.GTIN {
	return gs1.GTIN("0" + checked(fmt.Sprintf("%s%0*d", prefix, itemDigits, n)))
}

// sscc is logistic unit number n under a company prefix of 7 digits, extension digit 1.
func sscc(prefix string, n int) string {
	return checked(fmt.Sprintf("1%s%0*d", prefix, serialWidth, n))
}

func checked(digits string) string { return digits + string(gs1.CheckDigit(digits)) }
