package searchtest

import "github.com/haisu-trace/haisu/search"

const (
	hans = "zh-Hans"
	hant = "zh-Hant"
	en   = "en"
)

// item is a document of the hand-made corpus.
type item struct {
	id, hans, hant, en string
	text               string // simplified
	codes              []string
}

// question is what a shopper types, the same in the other script, and what should be among the first ten hits.
type question struct {
	text, other string
	want        []string
}

// corpus is goods and warnings as Hainan's shops and authorities word them: some in simplified characters only, some in traditional only (from
// Hong Kong, Taiwan and Macao), some with an English name, a few in English alone.
var corpus = []item{
	{id: "perfume-1", hans: "香奈儿五号香水 100ml", en: "Chanel No.5 Eau de Parfum", codes: []string{"3145891255300"}},
	{id: "perfume-2", hant: "迪奧真我淡香水", en: "Dior J'adore perfume", text: "含有未标示的过敏原"},
	{id: "perfume-3", hans: "祖玛珑英国梨与小苍兰香水", en: "Jo Malone English Pear & Freesia Cologne"},
	{id: "formula-1", hans: "婴幼儿配方奶粉 3段", en: "Infant formula stage 3", text: "阪崎肠杆菌 召回", codes: []string{"L2024-A13"}},
	{id: "formula-2", hant: "嬰兒配方奶粉（0至6個月）", en: "Infant milk powder 0-6 months"},
	{id: "formula-3", hans: "爱他美较大婴儿配方乳粉", en: "Aptamil follow-on formula"},
	{id: "milk-adult", hans: "成人高钙奶粉", en: "Adult high-calcium milk powder"},
	{id: "spirit-1", hans: "麦卡伦12年单一麦芽威士忌", en: "The Macallan 12 Years single malt whisky", codes: []string{"5010314302863"}},
	{id: "spirit-2", hant: "軒尼詩干邑白蘭地", en: "Hennessy V.S.O.P Cognac"},
	{id: "spirit-3", hans: "绝对伏特加", en: "Absolut Vodka 40% vol.", text: "甲醇超标"},
	{id: "wine-1", hans: "拉菲古堡干红葡萄酒 2016", en: "Château Lafite Rothschild"},
	{id: "sake-1", hant: "獺祭純米大吟釀", en: "Dassai Junmai Daiginjo sake"},
	{id: "skin-1", hans: "雅诗兰黛特润修护肌活精华露（小棕瓶）", en: "Estée Lauder Advanced Night Repair"},
	{id: "skin-2", hant: "SK-II 護膚精華露 神仙水", en: "SK-II Facial Treatment Essence"},
	{id: "skin-3", hans: "兰蔻小黑瓶精华肌底液", en: "Lancôme Génifique Serum"},
	{id: "skin-4", hant: "資生堂防曬乳液", en: "Shiseido sunscreen lotion SPF50+"},
	{id: "skin-5", hans: "安热沙防晒霜", en: "Anessa Perfect UV sunscreen", text: "防晒系数与标签不符"},
	{id: "lip-1", hans: "圣罗兰口红", en: "YSL Rouge Pur Couture lipstick", text: "检出铅超标"},
	{id: "mask-1", hant: "面膜檢出禁用激素", text: "糖皮质激素"},
	{id: "hair-1", hans: "染发剂致过敏警示", en: "Hair dye allergy warning", text: "对苯二胺"},
	{id: "health-1", hans: "深海鱼油软胶囊", en: "Deep sea fish oil softgels"},
	{id: "health-2", hant: "維生素D3膠囊", en: "Vitamin D3 capsules", text: "含量不足"},
	{id: "health-3", hans: "益生菌冻干粉", en: "Probiotic powder"},
	{id: "health-4", hans: "减肥胶囊检出西布曲明", text: "非法添加 违禁成分"},
	{id: "choc-1", hans: "费列罗榛果威化巧克力", en: "Ferrero Rocher hazelnut chocolate"},
	{id: "choc-2", hant: "健達出奇蛋朱古力", en: "Kinder Surprise chocolate eggs", text: "沙门氏菌 召回"},
	{id: "nut-1", hans: "开心果检出黄曲霉毒素", en: "Aflatoxins in pistachios"},
	{id: "honey-1", hans: "麦卢卡蜂蜜", en: "Manuka honey UMF 15+"},
	{id: "noodle-1", hant: "進口泡麵檢出環氧乙烷", en: "Ethylene oxide in instant noodles"},
	{id: "beef-1", hans: "冷冻牛肉检出瘦肉精", en: "Clenbuterol in frozen beef"},
	{id: "fish-1", hant: "三文魚刺身單增李斯特菌超標", en: "Listeria in smoked salmon"},
	{id: "watch-1", hans: "劳力士潜航者型腕表", en: "Rolex Submariner watch"},
	{id: "watch-2", hant: "歐米茄海馬系列手錶", en: "Omega Seamaster"},
	{id: "bag-1", hans: "路易威登手提包", en: "Louis Vuitton handbag"},
	{id: "glass-1", hans: "雷朋太阳镜", en: "Ray-Ban sunglasses"},
	{id: "med-1", hans: "日抛型隐形眼镜", en: "Daily disposable contact lenses", text: "医疗器械 UDI", codes: []string{"08806085000001"}},
	{id: "med-2", hant: "血糖儀試紙召回", en: "Blood glucose test strips recall", text: "读数偏低"},
	{id: "med-3", hans: "电子血压计", en: "Digital blood pressure monitor"},
	{id: "power-1", hans: "充电宝过热起火风险召回", en: "Power bank overheating, fire hazard"},
	{id: "dryer-1", hant: "電吹風機漏電", en: "Hair dryer electric shock"},
	{id: "toy-1", hans: "磁力珠玩具误吞危险", en: "Magnetic balls: ingestion hazard"},
	{id: "toy-2", hant: "毛絨玩具小零件窒息危險", en: "Plush toy choking hazard"},
	{id: "seat-1", hans: "儿童安全座椅卡扣失效", en: "Child car seat buckle failure", codes: []string{"琼市监召〔2025〕7号"}},
	{id: "phone-1", hant: "藍牙耳機", en: "Bluetooth earphones"},
	{id: "coffee-1", hans: "海南兴隆咖啡", en: "Hainan Xinglong coffee"},
	{id: "jp-1", hans: "药用美白化妆水", hant: "薬用美白化粧水", en: "Medicated whitening lotion"},
}

// questions are hand-made, and judged before any engine ran.
var questions = []question{
	{text: "香水", other: "香水", want: []string{"perfume-1", "perfume-2", "perfume-3"}},
	{text: "迪奥香水", other: "迪奧香水", want: []string{"perfume-2"}},
	{text: "香奈儿5号", other: "香奈兒5號", want: []string{"perfume-1"}},
	{text: "祖玛珑", other: "祖瑪瓏", want: []string{"perfume-3"}},
	{text: "婴儿奶粉", other: "嬰兒奶粉", want: []string{"formula-1", "formula-2", "formula-3"}},
	{text: "婴幼儿配方奶粉召回", other: "嬰幼兒配方奶粉召回", want: []string{"formula-1"}},
	{text: "爱他美", other: "愛他美", want: []string{"formula-3"}},
	{text: "高钙奶粉", other: "高鈣奶粉", want: []string{"milk-adult"}},
	{text: "威士忌", other: "威士忌", want: []string{"spirit-1"}},
	{text: "麦卡伦", other: "麥卡倫", want: []string{"spirit-1"}},
	{text: "轩尼诗", other: "軒尼詩", want: []string{"spirit-2"}},
	{text: "白兰地", other: "白蘭地", want: []string{"spirit-2"}},
	{text: "伏特加甲醇", other: "伏特加甲醇", want: []string{"spirit-3"}},
	{text: "干红葡萄酒", other: "乾紅葡萄酒", want: []string{"wine-1"}},
	{text: "獭祭", other: "獺祭", want: []string{"sake-1"}},
	{text: "小棕瓶", other: "小棕瓶", want: []string{"skin-1"}},
	{text: "雅诗兰黛精华", other: "雅詩蘭黛精華", want: []string{"skin-1"}},
	{text: "SK-II神仙水", other: "ＳＫ－ＩＩ 神仙水", want: []string{"skin-2"}},
	{text: "兰蔻", other: "蘭蔻", want: []string{"skin-3"}},
	{text: "资生堂防晒", other: "資生堂防曬", want: []string{"skin-4"}},
	{text: "防晒霜", other: "防曬霜", want: []string{"skin-5"}},
	{text: "口红铅超标", other: "口紅鉛超標", want: []string{"lip-1"}},
	{text: "面膜激素", other: "面膜激素", want: []string{"mask-1"}},
	{text: "染发剂过敏", other: "染髮劑過敏", want: []string{"hair-1"}},
	{text: "鱼油", other: "魚油", want: []string{"health-1"}},
	{text: "维生素胶囊", other: "維生素膠囊", want: []string{"health-2"}},
	{text: "减肥药西布曲明", other: "減肥藥西布曲明", want: []string{"health-4"}},
	{text: "巧克力", other: "巧克力", want: []string{"choc-1"}},
	{text: "沙门氏菌", other: "沙門氏菌", want: []string{"choc-2"}},
	{text: "黄曲霉毒素", other: "黃曲霉毒素", want: []string{"nut-1"}},
	{text: "蜂蜜", other: "蜂蜜", want: []string{"honey-1"}},
	{text: "环氧乙烷泡面", other: "環氧乙烷泡麵", want: []string{"noodle-1"}},
	{text: "瘦肉精", other: "瘦肉精", want: []string{"beef-1"}},
	{text: "李斯特菌三文鱼", other: "李斯特菌三文魚", want: []string{"fish-1"}},
	{text: "劳力士手表", other: "勞力士手錶", want: []string{"watch-1"}},
	{text: "欧米茄", other: "歐米茄", want: []string{"watch-2"}},
	{text: "隐形眼镜", other: "隱形眼鏡", want: []string{"med-1"}},
	{text: "血糖仪", other: "血糖儀", want: []string{"med-2"}},
	{text: "充电宝起火", other: "充電寶起火", want: []string{"power-1"}},
	{text: "吹风机漏电", other: "吹風機漏電", want: []string{"dryer-1"}},
	{text: "玩具危险", other: "玩具危險", want: []string{"toy-1", "toy-2"}},
	{text: "儿童安全座椅", other: "兒童安全座椅", want: []string{"seat-1"}},
	{text: "蓝牙耳机", other: "藍牙耳機", want: []string{"phone-1"}},
	{text: "海南咖啡", other: "海南咖啡", want: []string{"coffee-1"}},
	{text: "美白化妆水", other: "美白化粧水", want: []string{"jp-1"}},
	{text: "召回的奶粉", other: "召回的奶粉", want: []string{"formula-1"}},
	{text: "infant formula", want: []string{"formula-1", "formula-2", "formula-3"}},
	{text: "perfume", want: []string{"perfume-2"}},
	{text: "Chanel parfum", want: []string{"perfume-1"}},
	{text: "whisky", want: []string{"spirit-1"}},
	{text: "HENNESSY cognac", want: []string{"spirit-2"}},
	{text: "estee lauder", want: []string{"skin-1"}},
	{text: "Lancome serum", want: []string{"skin-3"}},
	{text: "chateau lafite", want: []string{"wine-1"}},
	{text: "sunscreen", want: []string{"skin-4", "skin-5"}},
	{text: "contact lens", want: []string{"med-1"}},
	{text: "chocolate egg", want: []string{"choc-2"}},
	{text: "choking hazard", want: []string{"toy-2"}},
	{text: "fire hazard power bank", want: []string{"power-1"}},
	{text: "aflatoxin pistachio", want: []string{"nut-1"}},
}

// Corpus gives the hand-made documents.
func Corpus() []search.Document {
	out := make([]search.Document, len(corpus))
	for i, it := range corpus {
		d := search.Document{ID: it.id, Kind: "product", Title: map[string]string{}, Keywords: it.codes}
		for lang, s := range map[string]string{hans: it.hans, hant: it.hant, en: it.en} {
			if s != "" {
				d.Title[lang] = s
			}
		}
		if it.text != "" {
			d.Text = map[string]string{hans: it.text}
		}
		out[i] = d
	}
	return out
}
