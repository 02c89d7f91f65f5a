package search_test

import (
	"fmt"

	"github.com/haisu-trace/haisu/search"
)

func ExampleFold() {
	fmt.Println(search.Fold("嬰兒配方奶粉") == search.Fold("婴儿配方奶粉"))
	fmt.Println(search.Fold("ＬＡＮＣÔＭＥ"))
	// Output:
	// true
	// lancome
}
