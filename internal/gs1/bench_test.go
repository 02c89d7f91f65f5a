package gs1

import "testing"

var sink any

func BenchmarkParsePath(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParsePath("/01/06901234567892/10/L2026A/21/abcdefgh12345678"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRefPath(b *testing.B) {
	ref := Ref{tin, "L2026A", "abcdefgh12345678"}
	b.ReportAllocs()
	for b.Loop() {
		sink = ref.Path()
	}
}

func BenchmarkParseDigitalLink(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseDigitalLink("https://id.gs1.org/01/06901234567892/10/L2026A/21/abcdefgh12345678?17=261231"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseEPC(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseEPC("urn:epc:id:sgtin:6901234.056789.abcdefgh12345678"); err != nil {
			b.Fatal(err)
		}
	}
}
