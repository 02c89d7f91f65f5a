package qr

import "strconv"

// Directions of travel, clockwise, and what a step in each adds to x and y.
const (
	right = iota
	down
	left
	up
)

var steps = [4][2]int{right: {1, 0}, down: {0, 1}, left: {-1, 0}, up: {0, -1}}

// edges has, for each corner of the grid of modules, the directions in which an outline leaves it, as bits. Outlines have the
// dark on their right: clockwise around dark areas, counter-clockwise around holes in them.
type edges struct {
	side int // corners in a row
	out  []uint8
}

func findEdges(dark modules) edges {
	size := len(dark)
	e := edges{side: size + 1, out: make([]uint8, (size+1)*(size+1))}
	at := func(x, y int) bool { return x >= 0 && y >= 0 && x < size && y < size && dark[y][x] }
	for y := range size {
		for x := range size {
			if !dark[y][x] {
				continue
			}
			if !at(x, y-1) {
				e.out[y*e.side+x] |= 1 << right
			}
			if !at(x+1, y) {
				e.out[y*e.side+x+1] |= 1 << down
			}
			if !at(x, y+1) {
				e.out[(y+1)*e.side+x+1] |= 1 << left
			}
			if !at(x-1, y) {
				e.out[(y+1)*e.side+x] |= 1 << up
			}
		}
	}
	return e
}

// Pen draws outlines on a grid whose unit is a module, from the top left corner of the quiet zone, y downwards. Every line is horizontal or vertical.
type Pen interface {
	Move(x, y int) // begins an outline
	Line(x, y int)
	Close() // with a line back to the beginning
}

// draw draws the outlines of all dark areas, shifted by the quiet zone.
func draw(dark modules, pen Pen) {
	e := findEdges(dark)
	for i := range e.out {
		// Every outline runs to the right somewhere, and the first such edge of it in reading order begins at a corner.
		for e.out[i]&(1<<right) != 0 {
			e.follow(pen, i%e.side, i/e.side)
		}
	}
}

// follow draws one outline from a corner, to the right first, until it comes back, and removes its edges.
func (e edges) follow(pen Pen, x, y int) {
	pen.Move(x+quietZone, y+quietZone)
	for dir := right; ; {
		next := dir
		for ; next == dir; next = e.turn(x, y, dir) {
			e.out[y*e.side+x] &^= 1 << dir
			x, y = x+steps[dir][0], y+steps[dir][1]
		}
		if next < 0 {
			pen.Close() // draws the last run
			return
		}
		pen.Line(x+quietZone, y+quietZone)
		dir = next
	}
}

// turn gives the direction in which the outline goes on that came to a corner in direction dir, -1 when it is closed. Where two
// dark modules touch at a corner only, it stays with the one it came along.
func (e edges) turn(x, y, dir int) int {
	out := e.out[y*e.side+x]
	for _, next := range [...]int{(dir + 1) & 3, dir, (dir + 3) & 3} {
		if out&(1<<next) != 0 {
			return next
		}
	}
	return -1
}

// svgPen writes SVG path data.
type svgPen struct {
	b    []byte
	x, y int
}

func (p *svgPen) Move(x, y int) {
	p.b = append(p.b, 'M')
	p.b = strconv.AppendInt(p.b, int64(x), 10)
	p.b = append(p.b, ' ')
	p.b = strconv.AppendInt(p.b, int64(y), 10)
	p.x, p.y = x, y
}

func (p *svgPen) Line(x, y int) {
	run := x - p.x
	if run != 0 {
		p.b = append(p.b, 'h')
	} else {
		p.b = append(p.b, 'v')
		run = y - p.y
	}
	p.b = strconv.AppendInt(p.b, int64(run), 10)
	p.x, p.y = x, y
}

func (p *svgPen) Close() { p.b = append(p.b, 'z') }
