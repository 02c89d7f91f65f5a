// Command foldgen writes the table of package search that folds variant forms of Chinese characters to one form. It is run by
// go generate during development and never by the program; see search/fold.go.
//
//	foldgen -dict DIR -out FILE
//
// DIR holds OpenCC's character dictionaries, as the module github.com/longbridgeapp/opencc carries them. Left out, the module is
// fetched into the module cache, at the version below, by the go command.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const source = "github.com/longbridgeapp/opencc@v0.3.13"

func main() {
	dict := flag.String("dict", "", "folder of OpenCC's dictionaries; empty: that of "+source)
	out := flag.String("out", "foldtable.go", "file to write")
	flag.Parse()
	if err := run(*dict, *out); err != nil {
		fmt.Fprintln(os.Stderr, "foldgen:", err)
		os.Exit(1) //nolint:forbidigo // the main of a program of its own
	}
}

func run(dict, out string) error {
	if dict == "" {
		var err error
		if dict, err = download(); err != nil {
			return err
		}
	}
	classes, err := build(dict)
	if err != nil {
		return err
	}
	src, err := render(classes)
	if err != nil {
		return err
	}
	return os.WriteFile(out, src, 0o644) //nolint:gosec // G306: a source file of the repository
}

// download puts the source module into the module cache and gives its folder of dictionaries.
func download() (string, error) {
	b, err := exec.CommandContext(context.Background(), "go", "mod", "download", "-json", source).Output()
	if err != nil {
		return "", fmt.Errorf("go mod download %s: %w", source, err)
	}
	var m struct {
		Dir string `json:"Dir"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return "", fmt.Errorf("go mod download %s: %w", source, err)
	}
	return filepath.Join(m.Dir, "dictionary"), nil
}

// pair is one line of a dictionary: a character and the characters that it may become, the likeliest first.
type pair struct {
	from rune
	to   []rune
}

func read(dict, name string) ([]pair, error) {
	b, err := os.ReadFile(filepath.Join(dict, name))
	if err != nil {
		return nil, err
	}
	var out []pair
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		from, to, ok := strings.Cut(strings.TrimSpace(lines.Text()), "\t")
		f := []rune(from)
		if !ok || len(f) != 1 {
			continue
		}
		p := pair{from: f[0]}
		for c := range strings.FieldsSeq(to) {
			if r := []rune(c); len(r) == 1 {
				p.to = append(p.to, r[0])
			}
		}
		out = append(out, p)
	}
	return out, lines.Err()
}

// build joins characters into classes: whatever one script may write for another is one class, every candidate included, because
// only then does a text in one script always fold to what the text in the other folds to. The price is that a few
// words that differ in one script (画, 划) are not told apart, which a search can afford.
func build(dict string) (map[rune]rune, error) {
	ts, err := read(dict, "TSCharacters.txt")
	if err != nil {
		return nil, err
	}
	c := classes{}
	known := map[rune]bool{}
	votes := map[rune]int{}
	for _, p := range ts {
		votes[p.to[0]] += 2
		for _, t := range p.to {
			c.join(p.from, t)
			known[p.from], known[t] = true, true
			votes[t]++
		}
	}
	for _, name := range []string{"STCharacters.txt", "TWVariants.txt", "HKVariants.txt"} {
		ps, err := read(dict, name)
		if err != nil {
			return nil, err
		}
		for _, p := range ps {
			for _, t := range p.to {
				c.join(p.from, t)
				known[p.from], known[t] = true, true
			}
		}
	}
	jp, err := read(dict, "JPVariants.txt")
	if err != nil {
		return nil, err
	}
	sources := map[rune]int{}
	for _, p := range jp {
		for _, t := range p.to {
			sources[t]++
		}
	}
	for _, p := range jp {
		for _, t := range p.to {
			// A Japanese form that is a Chinese character of its own (欠, 予, 芸), or that stands for several (弁), would join
			// unrelated words.
			if !known[t] && sources[t] == 1 {
				c.join(p.from, t)
			}
		}
	}
	return c.fold(votes), nil
}

// classes is a union-find forest over characters.
type classes map[rune]rune

func (c classes) root(r rune) rune {
	for {
		p, ok := c[r]
		if !ok || p == r {
			return r
		}
		r = p
	}
}

func (c classes) join(a, b rune) {
	for _, r := range []rune{a, b} {
		if _, ok := c[r]; !ok {
			c[r] = r
		}
	}
	c[c.root(a)] = c.root(b)
}

// fold maps every character to the form that stands for its class: the one that most traditional characters become, so a
// folded text reads like simplified Chinese. Characters that stand for themselves are left out.
func (c classes) fold(votes map[rune]int) map[rune]rune {
	members := map[rune][]rune{}
	for r := range c {
		root := c.root(r)
		members[root] = append(members[root], r)
	}
	out := map[rune]rune{}
	for _, rs := range members {
		slices.SortFunc(rs, func(a, b rune) int {
			if votes[a] != votes[b] {
				return votes[b] - votes[a]
			}
			return int(a - b)
		})
		for _, r := range rs[1:] {
			out[r] = rs[0]
		}
	}
	return out
}

const header = `// Code generated by foldgen from the character dictionaries of OpenCC. DO NOT EDIT.
//
// NOTICE: derived from TSCharacters, STCharacters, TWVariants, HKVariants and JPVariants of Open Chinese Convert (OpenCC),
// copyright Carbo Kuo and contributors, licensed under the Apache License, Version 2.0
// (https://www.apache.org/licenses/LICENSE-2.0); taken from ` + source + `.

package search

`

func render(fold map[rune]rune) ([]byte, error) {
	from := make([]rune, 0, len(fold))
	for r := range fold {
		from = append(from, r)
	}
	slices.Sort(from)
	to := make([]rune, len(from))
	for i, r := range from {
		to[i] = fold[r]
	}
	var b bytes.Buffer
	b.WriteString(header)
	b.WriteString("// variantForms[i] folds to mainForms[i].\n")
	writeConst(&b, "variantForms", from)
	writeConst(&b, "mainForms", to)
	return format.Source(b.Bytes())
}

func writeConst(b *bytes.Buffer, name string, rs []rune) {
	fmt.Fprintf(b, "const %s = \"\"", name)
	for chunk := range slices.Chunk(rs, 40) {
		fmt.Fprintf(b, " +\n\t%q", string(chunk))
	}
	b.WriteString("\n\n")
}
