package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/access"
)

// The reference that is committed is what the table and the contract say now.
func TestTheReferenceIsFresh(t *testing.T) {
	t.Parallel()
	want, err := render()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../mobile-contract/permissions.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("mobile-contract/permissions.md is stale: run go generate ./internal/httpapi")
	}
}

// A permission that nothing needs is a line that nobody checks.
func TestEveryLineOfTheTableIsNeeded(t *testing.T) {
	t.Parallel()
	page, err := render()
	if err != nil {
		t.Fatal(err)
	}
	_, operations, _ := strings.Cut(string(page), "## Operations")
	for _, r := range access.Table {
		if !strings.Contains(operations, "| `"+string(r.Action)+"` |") {
			// Drafts are read by operations that everybody may call; their handlers ask for this permission.
			if r.Action != access.WarningDrafts {
				t.Errorf("no operation needs %s", r.Action)
			}
		}
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	var usage bytes.Buffer
	if err := run(nil, &usage); err != nil || !strings.Contains(usage.String(), "FILE") {
		t.Errorf("%v %q", err, usage.String())
	}
	file := t.TempDir() + "/p.md"
	if err := run([]string{file}, &usage); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(file); err != nil || !bytes.HasPrefix(b, []byte("# Permissions")) {
		t.Errorf("%v %.20s", err, b)
	}
}
