package gs1_test

import (
	"fmt"

	"github.com/haisu-trace/haisu/internal/gs1"
)

func ExampleParsePath() {
	ref, err := gs1.ParsePath("/01/6901234567892/10/L2026%2fA/21/x7Kq2/")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ref.Level(), ref.GTIN, ref.Lot, ref.Serial)
	fmt.Println(ref.Link("https://haisu.example"))
	// Output:
	// unit 06901234567892 L2026/A x7Kq2
	// https://haisu.example/01/06901234567892/10/L2026%2FA/21/x7Kq2
}

func ExampleParseEPC() {
	for _, s := range []string{"urn:epc:id:sgtin:6901234.056789.x7Kq2", "https://brand.example/p/01/06901234567892/10/L1/21/x7Kq2?17=261231"} {
		e, err := gs1.ParseEPC(s)
		fmt.Println(e, e.Kind(), err)
	}
	// Output:
	// https://id.gs1.org/01/06901234567892/21/x7Kq2 instance <nil>
	// https://id.gs1.org/01/06901234567892/21/x7Kq2 instance <nil>
}
