package warning

import "github.com/haisu-trace/haisu/internal/lang"

// Level is the grade of a warning, on the scale of China's emergency law: red Ⅰ, orange Ⅱ, yellow Ⅲ, blue Ⅳ.
type Level string

// The levels, worst first.
const (
	Red    Level = "red"
	Orange Level = "orange"
	Yellow Level = "yellow"
	Blue   Level = "blue"
)

// Rank orders levels: 4 for red down to 1 for blue, 0 for anything else.
func (l Level) Rank() int {
	switch l {
	case Red:
		return 4
	case Orange:
		return 3
	case Yellow:
		return 2
	case Blue:
		return 1
	}
	return 0
}

// Name is what people call the level.
func (l Level) Name() lang.Text { return named(Levels, string(l)) }

// Term is one entry of a controlled vocabulary: a stable code and its names.
type Term struct {
	Code string    `json:"code"`
	Name lang.Text `json:"name"`
}

// Levels has the levels with their names, worst first.
var Levels = []Term{
	{"red", lang.ZhEn("红色（Ⅰ级）", "Red (level I)")},
	{"orange", lang.ZhEn("橙色（Ⅱ级）", "Orange (level II)")},
	{"yellow", lang.ZhEn("黄色（Ⅲ级）", "Yellow (level III)")},
	{"blue", lang.ZhEn("蓝色（Ⅳ级）", "Blue (level IV)")},
}

// Regimes has the bodies of law that a warning may be issued under; food follows its own emergency rules.
var Regimes = []Term{
	{"food", lang.ZhEn("食品", "Food")},
	{"product", lang.ZhEn("消费品", "Consumer products")},
	{"cosmetic", lang.ZhEn("化妆品", "Cosmetics")},
	{"medical_device", lang.ZhEn("医疗器械", "Medical devices")},
}

// Hazards is the one vocabulary of hazards: warnings, signals, assessments and subscriptions use its codes.
var Hazards = []Term{
	{"biological", lang.ZhEn("生物性危害", "Biological")},
	{"chemical", lang.ZhEn("化学性危害", "Chemical")},
	{"physical", lang.ZhEn("物理性危害（异物、割伤等）", "Physical (foreign bodies, cuts)")},
	{"allergen", lang.ZhEn("过敏原", "Allergen")},
	{"fraud", lang.ZhEn("假冒掺假", "Fraud or adulteration")},
	{"labelling", lang.ZhEn("标签标识问题", "Labelling")},
	{"electrical", lang.ZhEn("触电", "Electric shock")},
	{"fire", lang.ZhEn("起火燃烧", "Fire")},
	{"burn", lang.ZhEn("烫伤灼伤", "Burns")},
	{"explosion", lang.ZhEn("爆炸", "Explosion")},
	{"choking", lang.ZhEn("窒息（误吞小零件）", "Choking")},
	{"strangulation", lang.ZhEn("勒颈", "Strangulation")},
	{"mechanical", lang.ZhEn("机械伤害", "Mechanical injury")},
	{"sight", lang.ZhEn("视力损伤", "Damage to sight")},
	{"radiation", lang.ZhEn("辐射", "Radiation")},
	{"microbial_skin", lang.ZhEn("皮肤感染或刺激", "Skin infection or irritation")},
	{"spoilage", lang.ZhEn("变质腐败", "Spoilage")},
	{"residue", lang.ZhEn("农药兽药残留", "Pesticide or veterinary drug residue")},
	{"nutrition", lang.ZhEn("营养成分不符", "Nutrients not as declared")},
	{"environmental", lang.ZhEn("环境危害", "Environmental")},
	{"other", lang.ZhEn("其他危害", "Other")},
}

// Categories is the one vocabulary of product categories: products, warnings and subscriptions use its codes.
var Categories = []Term{
	{"perfume", lang.ZhEn("香水", "Perfume")},
	{"skin_care", lang.ZhEn("护肤品", "Skin care")},
	{"make_up", lang.ZhEn("彩妆", "Make-up")},
	{"hair_care", lang.ZhEn("洗护发用品", "Hair care")},
	{"spirits", lang.ZhEn("烈酒", "Spirits")},
	{"wine", lang.ZhEn("葡萄酒", "Wine")},
	{"infant_formula", lang.ZhEn("婴幼儿配方乳粉", "Infant formula")},
	{"dairy", lang.ZhEn("乳制品", "Dairy")},
	{"health_food", lang.ZhEn("保健食品", "Health food")},
	{"chocolate", lang.ZhEn("巧克力", "Chocolate")},
	{"confectionery", lang.ZhEn("糖果糕点", "Confectionery")},
	{"meat_seafood", lang.ZhEn("肉类水产", "Meat and seafood")},
	{"fruit_vegetable", lang.ZhEn("果蔬", "Fruit and vegetables")},
	{"tea_coffee", lang.ZhEn("茶和咖啡", "Tea and coffee")},
	{"other_food", lang.ZhEn("其他食品", "Other food")},
	{"watch", lang.ZhEn("手表", "Watches")},
	{"jewellery", lang.ZhEn("首饰", "Jewellery")},
	{"bag", lang.ZhEn("箱包", "Bags")},
	{"clothing", lang.ZhEn("服装鞋帽", "Clothing and shoes")},
	{"toy", lang.ZhEn("玩具", "Toys")},
	{"childcare", lang.ZhEn("婴童用品", "Childcare articles")},
	{"electronics", lang.ZhEn("电子产品", "Electronics")},
	{"home_appliance", lang.ZhEn("家用电器", "Home appliances")},
	{"sunglasses", lang.ZhEn("太阳镜", "Sunglasses")},
	{"sports", lang.ZhEn("体育用品", "Sports goods")},
	{"medical_device", lang.ZhEn("医疗器械", "Medical devices")},
	{"medicine", lang.ZhEn("药品", "Medicines")},
	{"pet_food", lang.ZhEn("宠物食品", "Pet food")},
	{"vehicle", lang.ZhEn("机动车", "Motor vehicles")},
	{"other", lang.ZhEn("其他商品", "Other goods")},
}

// HazardName gives the names of a hazard code; nil for a code that is not in the vocabulary.
func HazardName(code string) lang.Text { return named(Hazards, code) }

// CategoryName gives the names of a category code; nil for a code that is not in the vocabulary.
func CategoryName(code string) lang.Text { return named(Categories, code) }

// named looks a code up; the lists are short enough to walk.
func named(terms []Term, code string) lang.Text {
	for _, t := range terms {
		if t.Code == code {
			return t.Name
		}
	}
	return nil
}
