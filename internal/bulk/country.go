package bulk

import (
	"regexp"
	"strings"

	"github.com/haisu-trace/haisu/internal/sheet"
	"github.com/haisu-trace/haisu/internal/warning"
)

// countryNames are the names that goods from there carry on Chinese labels and in customs lists, by ISO 3166-1 alpha-2.
var countryNames = names(`AE 阿联酋 阿拉伯联合酋长国|AR 阿根廷|AT 奥地利|AU 澳大利亚 澳洲|BD 孟加拉国|BE 比利时|BG 保加利亚|BR 巴西|BY 白俄罗斯|CA 加拿大|CH 瑞士|CL 智利|CN 中国|CO 哥伦比亚
|CR 哥斯达黎加|CU 古巴|CY 塞浦路斯|CZ 捷克|DE 德国|DK 丹麦|EC 厄瓜多尔|EE 爱沙尼亚|EG 埃及|ES 西班牙|ET 埃塞俄比亚|FI 芬兰|FJ 斐济|FR 法国|GB 英国|GE 格鲁吉亚|GR 希腊|HK 中国香港 香港|HR 克罗地亚
|HU 匈牙利|ID 印度尼西亚 印尼|IE 爱尔兰|IL 以色列|IN 印度|IR 伊朗|IS 冰岛|IT 意大利|JP 日本|KE 肯尼亚|KH 柬埔寨|KR 韩国 大韩民国|KZ 哈萨克斯坦|LA 老挝|LK 斯里兰卡|LT 立陶宛|LU 卢森堡|LV 拉脱维亚
|MA 摩洛哥|MC 摩纳哥|MD 摩尔多瓦|MG 马达加斯加|MM 缅甸|MN 蒙古|MO 中国澳门 澳门|MU 毛里求斯|MX 墨西哥|MY 马来西亚|NL 荷兰|NO 挪威|NP 尼泊尔|NZ 新西兰|PE 秘鲁|PH 菲律宾|PK 巴基斯坦|PL 波兰|PT 葡萄牙
|RO 罗马尼亚|RS 塞尔维亚|RU 俄罗斯 俄罗斯联邦|SA 沙特阿拉伯 沙特|SE 瑞典|SG 新加坡|SI 斯洛文尼亚|SK 斯洛伐克|TH 泰国|TN 突尼斯|TR 土耳其|TW 中国台湾 台湾|TZ 坦桑尼亚|UA 乌克兰|US 美国|UY 乌拉圭|UZ 乌兹别克斯坦
|VN 越南|ZA 南非`)

// names reads a list of a code and its names by name.
func names(list string) map[string]string {
	m := map[string]string{}
	for entry := range strings.SplitSeq(list, "|") {
		words := strings.Fields(entry)
		for _, name := range words[1:] {
			m[fold(name)] = words[0]
		}
	}
	return m
}

var countryCode = regexp.MustCompile(`^[A-Za-z]{2}$`)

func country(c sheet.Cell) (string, *wrong) {
	s, w := prose(c)
	if w != nil {
		return "", w
	}
	if countryCode.MatchString(s) {
		return strings.ToUpper(s), nil
	}
	if code, ok := countryNames[fold(s)]; ok {
		return code, nil
	}
	return "", bad("country")
}

var categories = func() map[string]string {
	m := map[string]string{}
	for _, t := range warning.Categories {
		m[fold(t.Code)] = t.Code
		for _, name := range t.Name {
			m[fold(name)] = t.Code
		}
	}
	return m
}()

func category(c sheet.Cell) (string, *wrong) {
	s, w := prose(c)
	if w != nil {
		return "", w
	}
	if code, ok := categories[fold(s)]; ok {
		return code, nil
	}
	return "", bad("category")
}
