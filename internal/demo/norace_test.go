//go:build !race

package demo

// everyNth unit's chain is looked at: all of them.
const everyNth = 1
