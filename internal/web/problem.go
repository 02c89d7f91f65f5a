package web

import (
	"html/template"
	"io"
	"net/http"
	"strconv"
)

type problemView struct {
	frame
	Icon            template.HTML
	H1, Text        string
	Detail          string // in English
	Status          int
	Code, RequestID string
	Again           bool // the reader can only wait
}

// RenderProblem writes a refusal for people. code is the problem's stable code; detail is the sentence of the problem document, in
// English, and is shown small below the page's own text, unless the reader can only wait. An unknown code is
// worded by its status.
func (p *Pages) RenderProblem(w io.Writer, tag string, status int, code, detail, requestID string) error {
	tag = valid(tag)
	v := problemView{
		frame: frame{NoIndex: true, Switch: query("lang", other(tag))}, Icon: icon("ask"), Status: status, Code: clean(code), RequestID: clean(requestID),
		Again: status == http.StatusTooManyRequests || status >= 500,
	}
	if v.Again {
		v.Icon = icon("wait")
	}
	title := statusWord("title", status)
	v.H1 = title.in(tag)
	v.Title = v.H1
	reason, exact := problemReasons[code]
	if !exact {
		reason = statusWord("text", status)
	}
	v.Text = reason.in(tag)
	if !v.Again && detail != "" {
		v.Detail = clean(detail)
	}
	return p.problem.write(w, tag, &v)
}

// statusWord words a status, or its class.
func statusWord(what string, status int) phrase {
	for _, key := range [...]string{strconv.Itoa(status), strconv.Itoa(status/100) + "xx"} {
		if w, ok := words["problem."+what+"."+key]; ok {
			return w
		}
	}
	return words["problem."+what+".5xx"]
}

// problemReasons words the mistakes that people make when they type a code or follow a damaged link.
var problemReasons = map[string]phrase{
	"path_syntax":       {"这个链接的格式不对，完整的链接形如 /01/商品条码/10/批号/21/序列号。", "A product link looks like /01/product number/10/lot/21/serial."},
	"path_escape":       {"链接中的百分号后面不是有效的转义字符，链接可能被截断或改动过。", "The link holds a percent sign that starts no valid escape."},
	"link_syntax":       {"这个链接不完整或格式不对。", "The link is incomplete."},
	"link_escape":       {"链接中的百分号后面不是有效的转义字符，链接可能被截断或改动过。", "The link holds a percent sign that starts no valid escape."},
	"link_no_key":       {"这个链接里没有商品条码。", "The link names no product."},
	"code_too_long":     {"号码太长，不可能是商品码。", "The code is too long."},
	"code_length":       {"请输入 1 到 2048 个字符的号码。", "A code has 1 to 2048 bytes."},
	"gtin_length":       {"商品条码的位数不对：应为 8、12、13 或 14 位数字，链接中为 14 位。", "The product number has the wrong number of digits."},
	"gtin_digits":       {"商品条码只能由数字 0 到 9 组成。", "A product number consists of digits only."},
	"gtin_check_digit":  {"商品条码的校验位不对：可能少了一位或有一位输错了，请对照包装核对。", "The check digit is wrong: a digit is missing or mistyped."},
	"gtin_zero":         {"全为零的条码不代表任何商品。", "A product number of zeros names nothing."},
	"lot_length":        {"批号的长度不对：应为 1 到 20 个字符。", "A lot has 1 to 20 characters."},
	"lot_characters":    {"批号中有不允许的字符。", "The lot holds characters that no lot has."},
	"serial_length":     {"序列号的长度不对：应为 1 到 20 个字符。", "A serial has 1 to 20 characters."},
	"serial_characters": {"序列号中有不允许的字符。", "The serial holds characters that no serial has."},
	"rate_limited":      {"来自这个网络的查询太多，请稍等片刻再试。", "There are too many queries from this network. Please wait a moment."},
	"warning_unknown":   {"没有这个编号的预警，请核对编号。", "There is no warning with this number."},
	"no_such_path":      {"这个地址下没有页面，链接可能不完整。", "There is nothing at this address; the link may be incomplete."},
	"not_acceptable":    {"这个地址只提供网页和 JSON 两种格式。", "The answer can be had as a page or as JSON."},
}
