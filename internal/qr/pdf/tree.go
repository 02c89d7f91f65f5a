package pdf

import (
	"fmt"
	"strings"
)

// fanOut is how many children a node of the tree of pages has. Viewers find a page by walking down the tree, and a node that is full is written and forgotten.
const fanOut = 64

// node is a node of the tree of pages (ISO 32000-1, 7.7.3) that is not written yet.
type node struct {
	number int
	kids   []int
	pages  int
}

// adopt makes a child with so many pages one of the open node of a level, and gives that node's number.
func (w *Writer) adopt(level, kid, pages int) int {
	if level == len(w.levels) {
		w.levels = append(w.levels, node{number: w.reserve()})
	}
	if len(w.levels[level].kids) == fanOut {
		w.closeNode(level)
		w.levels[level] = node{number: w.reserve(), kids: w.levels[level].kids[:0]}
	}
	n := &w.levels[level]
	n.kids = append(n.kids, kid)
	n.pages += pages
	return n.number
}

// closeNode writes the open node of a level as a child of one a level above.
func (w *Writer) closeNode(level int) {
	n := w.levels[level]
	parent := w.adopt(level+1, n.number, n.pages)
	w.writeNode(n, fmt.Sprintf(" /Parent %d 0 R", parent))
}

// closeTree writes the nodes that are open, and gives the number of the root.
func (w *Writer) closeTree() int {
	for level := 0; level < len(w.levels)-1; level++ { //nolint:intrange // closing a node may add a level
		w.closeNode(level)
	}
	root := w.levels[len(w.levels)-1]
	w.writeNode(root, "")
	return root.number
}

func (w *Writer) writeNode(n node, parent string) {
	var kids strings.Builder
	for _, k := range n.kids {
		fmt.Fprintf(&kids, " %d 0 R", k)
	}
	w.object(n.number, "<< /Type /Pages%s /Count %d /Kids [%s ] >>", parent, n.pages, kids.String())
}
