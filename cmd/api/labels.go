package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/haisu-trace/haisu/internal/qr/pdf"
)

// labelFonts are where free Chinese fonts are on common systems, with those of Noto before others: a label is read from a hand's width.
var labelFonts = []string{
	"/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
	"/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
	"/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
	"/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc",
	"/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
	"/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
}

// openLabelFont opens the Chinese font of labels: the one of the settings, else the first of labelFonts that there is, else none, which leaves
// Chinese text to the program that prints them. It stays open until the program ends.
func (a *app) openLabelFont(ctx context.Context) (*pdf.Font, error) {
	for _, name := range fontFiles(a.cfg.LabelFont) {
		file, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) && a.cfg.LabelFont == "" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("LABEL_FONT: %w", err)
		}
		a.closers = append(a.closers, file.Close)
		font, err := pdf.ReadFont(file)
		if err != nil {
			return nil, fmt.Errorf("LABEL_FONT: %s: %w", name, err)
		}
		return font, nil
	}
	a.log.InfoContext(ctx, "no Chinese font for labels was found; LABEL_FONT names one")
	return nil, nil //nolint:nilnil // no font is what a sheet without one is made with
}

func fontFiles(set string) []string {
	if set != "" {
		return []string{set}
	}
	return labelFonts
}
