package demo

import (
	"time"

	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/lang"
)

// spot is a place of the demonstration. Its number in its firm's prefix is n.
type spot struct {
	id, firm, prefix string
	n                int
	kind, country    string
	name, city       lang.Text
}

// uri is the spot's SGLN.
func (s *spot) uri() string { return "https://id.gs1.org/414/" + gln(s.prefix, s.n) }

func (s *spot) place() firm.Place {
	return firm.Place{URI: s.uri(), Name: s.name, Kind: s.kind, City: s.city, Country: s.country, Firm: s.firm}
}

// site is where products are made, and how they travel from there.
type site struct {
	spot
	zone    *time.Location
	transit int    // days to Hainan
	air     bool   // comes by plane
	lot     string // how lots are numbered there; see lotNumber
}

// offset is a zone of whole hours from UTC. Plants keep one offset all year: summer time would only make the data harder to read.
func offset(hours int) *time.Location { return time.FixedZone("", hours*60*60) }

// china is where everything else happens.
var china = offset(8)

// sites lists the plants. Their order is that of the declarations.
func sites() []*site {
	of := func(id, firmID, prefix string, n int, country, zh, en, cityZh, cityEn string) spot {
		return spot{id, firmID, prefix, n, "plant", country, lang.ZhEn(zh, en), lang.ZhEn(cityZh, cityEn)}
	}
	return []*site{
		{of("grasse", orvaline, prefixFR, 1, "FR", "香水厂", "perfume works", "格拉斯", "Grasse"), offset(1), 34, false, "{y}{M}{dd}{x}"},
		{of("chartres", orvaline, prefixFR, 2, "FR", "化妆品厂", "cosmetics plant", "沙特尔", "Chartres"), offset(1), 34, false, "{y}{M}{dd}{x}"},
		{of("cognac", orvaline, prefixFR, 3, "FR", "干邑酒窖", "cognac cellars", "塞贡扎克", "Segonzac"), offset(1), 35, false, "L{yy}{jjj}{x}"},
		{of("banff", orvaline, prefixGB, 1, "GB", "格兰科伦酒厂", "Glen Corrant distillery", "班夫", "Banff"), offset(0), 36, false, "L{yy}{jjj}{x}"},
		{of("fribourg", alpfeld, prefixCH, 1, "CH", "巧克力厂", "chocolate works", "弗里堡", "Fribourg"), offset(1), 33, false, "{jjj}{yy}-{x}"},
		{of("jura", alpfeld, prefixCH, 2, "CH", "制表工坊", "watch workshop", "勒洛克勒", "Le Locle"), offset(1), 3, true, "CV{yy}{mm}{x}"},
		{of("boulder", alpfeld, prefixUS, 1, "US", "营养品厂", "nutrition plant", "博尔德", "Boulder"), offset(-7), 29, false, "{yy}{mm}{dd}{x}"},
		{of("minneapolis", alpfeld, prefixUS, 2, "US", "医疗器械厂", "device plant", "明尼阿波利斯", "Minneapolis"), offset(-6), 4, true, "S{yy}{M}{dd}{x}"},
		{of("taranaki", taranui, prefixNZ, 1, "NZ", "乳品厂", "dairy plant", "新普利茅斯", "New Plymouth"), offset(12), 20, false, "T{yy}{mm}{dd}{x}"},
		{of("leeuwarden", taranui, prefixNL, 1, "NL", "乳品厂", "dairy plant", "吕伐登", "Leeuwarden"), offset(1), 33, false, "V{yy}{jjj}{x}"},
		{of("cheongju", narisol, prefixKR, 1, "KR", "化妆品厂", "cosmetics plant", "清州", "Cheongju"), offset(9), 7, false, "KC{yy}{M}{dd}{x}"},
		{of("kakegawa", narisol, prefixJP, 1, "JP", "化妆品厂", "cosmetics plant", "挂川", "Kakegawa"), offset(9), 8, false, "{yy}{jjj}{x}"},
	}
}

// The ports and warehouses.
const (
	portHaikou, portYangpu, portMeilan         = "port-haikou", "port-yangpu", "port-meilan"
	storeHaikou, storeYangpu, storeCrossBorder = "warehouse-haikou", "warehouse-yangpu", "warehouse-ecommerce"
)

// customsCodes begin the declarations of each port.
var customsCodes = map[string]string{portHaikou: "6401", portYangpu: "6404", portMeilan: "6405"}

// spots lists the places in Hainan.
func spots() []*spot {
	city := map[string]lang.Text{
		"haikou": lang.ZhEn("海口", "Haikou"), "yangpu": lang.ZhEn("洋浦", "Yangpu"), "sanya": lang.ZhEn("三亚", "Sanya"),
		"boao": lang.ZhEn("琼海博鳌", "Bo'ao, Qionghai"),
	}
	var list []*spot
	numbers := map[string]int{}
	add := func(id, firmID, prefix, kind, where, zh, en string) {
		numbers[prefix]++
		list = append(list, &spot{id, firmID, prefix, numbers[prefix], kind, "CN", lang.ZhEn(zh, en), city[where]})
	}
	add(portHaikou, customsID, prefixCustoms, "port", "haikou", "海口港", "Haikou Port")
	add(portYangpu, customsID, prefixCustoms, "port", "yangpu", "洋浦港", "Yangpu Port")
	add(portMeilan, customsID, prefixCustoms, "port", "haikou", "美兰机场航空货运口岸", "Meilan Airport cargo terminal")
	add(storeHaikou, chengwan, prefixChengwan, "warehouse", "haikou", "海口综合保税区澄湾 1 号库", "Chengwan bonded warehouse 1")
	add(storeYangpu, chengwan, prefixChengwan, "warehouse", "yangpu", "洋浦保税港区澄湾 2 号库", "Chengwan bonded warehouse 2")
	add(storeCrossBorder, chengwan, prefixChengwan, "warehouse", "haikou", "澄湾跨境电商保税仓", "Chengwan e-commerce bonded warehouse")
	add("bay-beauty", yuyue, prefixYuyue, "store", "haikou", "屿悦免税海湾店香化柜台", "Yuyue Duty Free Bay Store, beauty counter")
	add("bay-drinks", yuyue, prefixYuyue, "store", "haikou", "屿悦免税海湾店酒类柜台", "Yuyue Duty Free Bay Store, spirits counter")
	add("bay-food", yuyue, prefixYuyue, "store", "haikou", "屿悦免税海湾店食品母婴柜台", "Yuyue Duty Free Bay Store, food and baby counter")
	add("meilan-shop", yuyue, prefixYuyue, "store", "haikou", "屿悦免税美兰机场店", "Yuyue Duty Free, Meilan Airport")
	add("boao-shop", yuyue, prefixYuyue, "store", "boao", "屿悦免税博鳌店", "Yuyue Duty Free Bo'ao")
	add("shore-beauty", lanan, prefixLanan, "store", "sanya", "澜岸免税三亚店香化柜台", "Lan'an Duty Free Sanya, beauty counter")
	add("shore-food", lanan, prefixLanan, "store", "sanya", "澜岸免税三亚店食品酒水柜台", "Lan'an Duty Free Sanya, food and drinks counter")
	add("shore-watch", lanan, prefixLanan, "store", "sanya", "澜岸免税三亚店腕表柜台", "Lan'an Duty Free Sanya, watch counter")
	add("phoenix-shop", lanan, prefixLanan, "store", "sanya", "澜岸免税凤凰机场店", "Lan'an Duty Free, Phoenix Airport")
	add("yugou-hall", yugou, prefixYugou, "store", "haikou", "屿购跨境商品自提店", "Yugou cross-border pick-up store")
	add("lecheng", yemao, prefixYemao, "store", "boao", "乐城医疗器械专柜", "Lecheng medical device counter")
	return list
}

// counters gives the counters of a seller for a class of goods; goods go to them in turn.
func counters(seller, class string) []string {
	switch seller + " " + class {
	case yuyue + " beauty":
		return []string{"bay-beauty", "meilan-shop", "boao-shop"}
	case yuyue + " drinks":
		return []string{"bay-drinks", "meilan-shop", "boao-shop"}
	case yuyue + " food":
		return []string{"bay-food", "meilan-shop"}
	case lanan + " beauty":
		return []string{"shore-beauty", "phoenix-shop"}
	case lanan + " watch":
		return []string{"shore-watch"}
	case narisol + " beauty", narisol + " food":
		return []string{"yugou-hall"}
	case yemao + " food":
		return []string{"lecheng"}
	}
	return []string{"shore-food", "phoenix-shop"}
}

// classOf is the class of counter for a product category.
func classOf(category string) string {
	switch category {
	case "perfume", "skin_care", "make_up":
		return "beauty"
	case "spirits":
		return "drinks"
	case "watch":
		return "watch"
	}
	return "food"
}
