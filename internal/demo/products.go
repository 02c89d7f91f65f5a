package demo

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/trace"
)

//go:embed data/products.csv
var productTable []byte

// Who puts the codes on the units.
const (
	codedAtPlant     = "plant"     // the maker, with serials issued here
	codedInWarehouse = "warehouse" // the seller, in the bonded warehouse, with serials issued here
	codedByMaker     = "maker"     // the maker, with its own serials
	codedNever       = "bulk"      // an ingredient, not for retail
)

// product is a row of the product table.
type product struct {
	trace.Product
	key     string
	site    *site
	item    int
	lots    int
	units   int // coded units per lot
	lead    int // days from production to shipping
	shelf   int // days that it keeps; 0 for no date
	coded   string
	sellers []string // firms that take its lots in turn
	hint    string
}

var sellersByLetter = map[rune]string{'y': yuyue, 'l': lanan, 'h': narisol, 'm': yemao}

// lotHints say where the lot is printed, by the kind of package.
var lotHints = map[string]lang.Text{
	"bottle":  lang.ZhEn("批号印在盒底和瓶底。", "The lot is printed on the bottom of the box and of the bottle."),
	"jar":     lang.ZhEn("批号印在瓶底或罐底。", "The lot is printed on the bottom of the bottle or jar."),
	"tube":    lang.ZhEn("批号压印在管尾。", "The lot is embossed on the crimp of the tube."),
	"giftbox": lang.ZhEn("批号印在礼盒底部，盒内商品各有批号。", "The lot is printed under the gift box; each item inside has its own."),
	"spirit":  lang.ZhEn("批号以激光刻在瓶身靠近瓶底处。", "The lot is laser-etched on the glass near the bottom of the bottle."),
	"drum":    lang.ZhEn("批号见桶身标签。", "The lot is on the label of the drum."),
	"foil":    lang.ZhEn("批号印在包装背面封口旁。", "The lot is printed on the back beside the seal."),
	"box":     lang.ZhEn("批号印在盒侧。", "The lot is printed on the side of the box."),
	"tin":     lang.ZhEn("批号和日期印在罐底。", "The lot and the dates are printed on the bottom of the tin."),
	"bag":     lang.ZhEn("批号印在袋口封边处。", "The lot is printed along the seal of the bag."),
	"lid":     lang.ZhEn("批号印在瓶底，日期印在瓶盖旁。", "The lot is printed on the bottom, the date beside the lid."),
	"watch":   lang.ZhEn("编号刻在表背，批号见保修卡。", "The number is engraved on the case back; the lot is on the warranty card."),
	"device":  lang.ZhEn("批号见外盒 UDI 标签，“LOT”之后。", "The lot is on the UDI label of the box, after 'LOT'."),
}

// readProducts reads the product table. Its header names the columns.
func readProducts(bySite map[string]*site) ([]*product, error) {
	rows, err := csv.NewReader(bytes.NewReader(productTable)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("product table: %w", err)
	}
	var out []*product
	for i, row := range rows[1:] {
		cell := map[string]string{}
		for j, name := range rows[0] {
			cell[name] = row[j]
		}
		p, err := readProduct(cell, bySite)
		if err != nil {
			return nil, fmt.Errorf("product table, line %d: %w", i+2, err)
		}
		out = append(out, p)
	}
	return out, nil
}

func readProduct(cell map[string]string, bySite map[string]*site) (*product, error) {
	p := &product{key: cell["key"], site: bySite[cell["site"]], coded: cell["coded"], hint: cell["hint"]}
	if p.site == nil {
		return nil, fmt.Errorf("there is no site %q", cell["site"])
	}
	for name, into := range map[string]*int{"item": &p.item, "lots": &p.lots, "units": &p.units, "lead": &p.lead, "shelf": &p.shelf} {
		n, err := strconv.Atoi(cell[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		*into = n
	}
	for _, letter := range cell["sellers"] {
		p.sellers = append(p.sellers, sellersByLetter[letter])
	}
	text := func(column string) lang.Text { return lang.ZhEn(cell[column+"_zh"], cell[column+"_en"]) }
	name, brand, net := text("name"), text("brand"), cell["net"]
	p.Product = trace.Product{
		GTIN: gtin(p.site.prefix, p.item), Firm: p.site.firm, Brand: brand, Category: cell["category"], Origin: p.site.country,
		Name: lang.ZhEn(brand[lang.ZhHans]+" "+name[lang.ZhHans]+" "+netIn(net, 0), brand[lang.En]+" "+name[lang.En]+" "+netIn(net, 1)),
		Net:  net, Description: text("desc"), LotHint: lotHints[p.hint],
	}
	return p, nil
}

// netIn is the net content in the first (Chinese) or second (English) language of a text such as "60 粒 / capsules".
func netIn(net string, which int) string {
	zh, en, two := strings.Cut(net, " / ")
	if !two || which == 0 {
		return zh
	}
	amount, _, _ := strings.Cut(zh, " ")
	return amount + " " + en
}

// lotNumber numbers a lot in the manner of its site: {yy} {y} year, {mm} month, {M} month as a letter, {dd} day, {jjj} day of
// the year, {x} a letter for the production line.
func lotNumber(p *product, made time.Time) string {
	return strings.NewReplacer(
		"{yy}", made.Format("06"), "{y}", made.Format("06")[1:], "{mm}", made.Format("01"), "{dd}", made.Format("02"),
		"{M}", string(rune('A'+int(made.Month())-1)), "{jjj}", fmt.Sprintf("%03d", made.YearDay()),
		"{x}", string(rune('A'+p.item%8)),
	).Replace(p.site.lot)
}
