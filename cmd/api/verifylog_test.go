package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// say runs a command without a store, as somebody outside would, and gives what it prints and how it ends.
func say(t *testing.T, args ...string) (string, error) {
	t.Helper()
	nowhere := filepath.Join(t.TempDir(), "is not made")
	var out, errw bytes.Buffer
	err := run(t.Context(), args, func(k string) string {
		return map[string]string{"DATA_DIR": nowhere, "DEMO": "off"}[k]
	}, strings.NewReader(""), &out, &errw)
	if _, stat := os.Stat(nowhere); !os.IsNotExist(stat) {
		t.Errorf("%v opened a store: %v", args, stat)
	}
	return out.String() + errw.String(), err
}

// Anyone holds a server to its log over HTTP: against the key that they know, and against a checkpoint that they kept.
func TestVerifyOverHTTP(t *testing.T) {
	t.Parallel()
	p := start(t, map[string]string{"DATA_DIR": t.TempDir(), "DEMO": "off"})
	seller := bearer(p.sellerKey("haikou-df", "-kind", "duty_free", "-grants", "690123456"))
	p.do(nil, "PUT", "/v1/products/"+gtin, seller, spirits, 201)
	size := func() float64 { return at(t, p.do(nil, "GET", "/v1/ledger", nil, nil, 200).json(t), "size").(float64) }
	keep := func(name string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, p.do(nil, "GET", "/ledger/checkpoint", nil, nil, 200).body, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	verify := func(want string, more ...string) {
		t.Helper()
		out, err := say(t, append([]string{"verify", "-url", p.base}, more...)...)
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("verify %v: %q, %v; want %q", more, out, err, want)
		}
	}
	refuse := func(want string, args ...string) {
		t.Helper()
		if out, err := say(t, append([]string{"verify"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("verify %v: %q, %v; want the error %q", args, out, err, want)
		}
	}

	verify("in order: 0 leaves")
	p.do(nil, "POST", "/epcis/capture", seller, chainDocument("S1"), 202)
	p.eventually("four leaves", func() bool { return size() == 4 })
	four := keep("four")
	p.do(nil, "POST", "/epcis/events", seller, singleEvent("S1"), 201)
	p.eventually("five leaves", func() bool { return size() == 5 })
	five := keep("five")

	key := at(t, p.do(nil, "GET", "/v1/ledger", nil, nil, 200).json(t), "key").(string)
	verify("in order: 5 leaves")
	verify("the key is the one that the server tells", "-against", four)
	verify("it begins with the 4 of the checkpoint", "-against", four, "-key", key)
	verify("in order: 5 leaves", "-key", key, "-against", five)

	refuse("is no http or https URL", "-url", "ftp://127.0.0.1")
	refuse("is no http or https URL", "-url", "127.0.0.1:80")
	refuse("-key", "-url", p.base, "-key", key[:len(key)-8])
	refuse("no such file", "-url", p.base, "-against", four+".not")
	refuse("-url checks a server's log", "-url", p.base, "-export", four)
	refuse("-url checks a server's log", "-url", p.base, "-write-checkpoint", four)
	refuse("-url checks a server's log", "-url", p.base, "-checkpoint", four)
	refuse("-key goes with -url", "-key", key)
	refuse("want no argument", "-url", p.base, "now")

	page := p.do(nil, "GET", "/01/"+gtin+"/21/S1", map[string]string{"Accept": "text/html", "Accept-Language": "en"}, nil, 200)
	if !bytes.Contains(page.body, []byte("5 records are in the transparency log")) || !bytes.Contains(page.body, []byte(`href="/v1/ledger/leaves/3"`)) {
		t.Errorf("the page does not tell where its steps stand in the log: %s", page.body)
	}

	// Another installation has another key, and has signed nothing of this one.
	other := start(t, map[string]string{"DATA_DIR": t.TempDir(), "DEMO": "off"})
	refuse("checkpoint", "-url", other.base, "-key", key)
	refuse("the checkpoint to compare with", "-url", other.base, "-against", four)

	// An altered event shows to whoever has the store, beside the server and after it.
	p.command("", "verify", "-against", four)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	d := trailOf{t, p.env["DATA_DIR"]}
	d.mustSay("it begins with the 5 of the checkpoint", "-against", five)
	d.rewriteEvent("shipping", "receiving")
	d.mustFail("leaf 4", "-against", five)
}

// rewriteEvent changes a word of the newest stored event that has it, as whoever has the database can.
func (d trailOf) rewriteEvent(from, to string) {
	d.t.Helper()
	cfg, _, err := parse("test", nil, d.getenv, streams{nil, os.Stdout, os.Stderr}, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	err = within(d.t.Context(), cfg, os.Stderr, func(a *app) error {
		leaf, err := a.ledger.Leaf(d.t.Context(), 4)
		if err != nil {
			return err
		}
		recs, err := a.engine.Get(d.t.Context(), "epcis_raw", []string{leaf.Key})
		if err != nil {
			return err
		}
		changed := bytes.Replace(recs[0].Body, []byte(from), []byte(to), 1)
		if !json.Valid(changed) || bytes.Equal(changed, recs[0].Body) {
			d.t.Fatalf("%s is not in %s", from, recs[0].Body)
		}
		recs[0].Body = changed
		return a.engine.Replace(d.t.Context(), "epcis_raw", recs[0])
	})
	if err != nil {
		d.t.Fatal(err)
	}
}
