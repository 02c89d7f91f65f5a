//go:build race

package demo

// everyNth unit's chain is looked at: the race detector makes each ten times slower.
const everyNth = 7
