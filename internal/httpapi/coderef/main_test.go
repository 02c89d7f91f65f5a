package main

import (
	"bytes"
	"os"
	"testing"
)

// The reference that is committed is what the table says now.
func TestTheReferenceIsFresh(t *testing.T) {
	t.Parallel()
	got, err := os.ReadFile("../../../mobile-contract/epcis-codes.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, render()) {
		t.Error("mobile-contract/epcis-codes.md is stale: run go generate ./internal/httpapi")
	}
}
