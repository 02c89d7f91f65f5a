package number

import "testing"

func TestParse(t *testing.T) {
	t.Parallel()
	const s = Series("HN")
	for no, want := range map[string]bool{
		"HN-2026-000001": true, "HN-2026-123456": true, "HN-2026-1234567": true, "HN-2026-000000": false, "HN-2026-0000001": false,
		"HN-2026-1": false, "HN-26-000001": false, "SX-2026-000001": false, "HN-2026-00000a": false, "HN-2026-99999999999999999999": false,
		"HN-2026-000001 ": false, "": false, "HN-": false, "HN--026-000001": false,
	} {
		if got := s.Valid(no); got != want {
			t.Errorf("%q: %v, want %v", no, got, want)
		}
	}
	if year, seq, ok := s.Parse(s.Format(2026, 42)); !ok || year != 2026 || seq != 42 {
		t.Errorf("got %d, %d, %v", year, seq, ok)
	}
}
