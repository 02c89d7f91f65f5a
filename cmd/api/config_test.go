package main

import (
	"flag"
	"io"
	"os"
	"strings"
	"testing"
)

func loadFor(t testing.TB, args []string, env map[string]string) (*config, error) {
	t.Helper()
	fs, values := newFlags("serve", io.Discard)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return load(fs, values, func(k string) string { return env[k] })
}

func TestSettingsAreRefusedByName(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		env  map[string]string
		want string
	}{
		"address":          {env: map[string]string{"ADDR": "8080"}, want: "ADDR: want host:port"},
		"open address":     {env: map[string]string{"ADDR": "0.0.0.0:80"}, want: "PUBLIC_URL: needed"},
		"public URL":       {env: map[string]string{"PUBLIC_URL": "https://a.example/shop"}, want: "PUBLIC_URL: want"},
		"demo":             {args: []string{"-demo", "yes"}, want: "DEMO: want"},
		"demo and MongoDB": {env: map[string]string{"DEMO": "on", "MONGODB_URI": "mongodb://a/h", "KEYS_FILE": "k"}, want: "DEMO: demonstration data is for SQLite"},
		"demo and FCM":     {env: map[string]string{"DEMO": "on", "FIREBASE_PROJECT": "p"}, want: "DEMO: demonstration data never goes through FCM"},
		"MongoDB":          {env: map[string]string{"MONGODB_URI": "http://a"}, want: "MONGODB_URI: want"},
		"no keys":          {env: map[string]string{"MONGODB_URI": "mongodb://a/h"}, want: "KEYS_FILE: mandatory"},
		"Meilisearch":      {env: map[string]string{"MEILISEARCH_URL": "meili"}, want: "MEILISEARCH_URL: want"},
		"Meilisearch key":  {env: map[string]string{"MEILISEARCH_API_KEY": "k"}, want: "MEILISEARCH_API_KEY: useless"},
		"credentials":      {env: map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": "/does/not/exist", "FIREBASE_PROJECT": "p"}, want: "GOOGLE_APPLICATION_CREDENTIALS: the file"},
		"FCM endpoint":     {env: map[string]string{"FCM_ENDPOINT": "http://127.0.0.1:1"}, want: "FCM_ENDPOINT: useless"},
		"proxies":          {env: map[string]string{"TRUSTED_PROXIES": "10.0.0.1, fort"}, want: `TRUSTED_PROXIES: "fort"`},
		"blob scheme":      {env: map[string]string{"BLOB_URL": "ftp://a/b"}, want: "BLOB_URL: want file:///DIR"},
		"blob relative":    {env: map[string]string{"BLOB_URL": "file://blobs"}, want: "BLOB_URL: want file:///DIR"},
		"blob endpoint":    {env: map[string]string{"BLOB_URL": "s3://b?endpoint=s3.example"}, want: "BLOB_URL: endpoint: want"},
		"blob option":      {env: map[string]string{"BLOB_URL": "s3://b?endpoint=https://s3.example&acl=public"}, want: "BLOB_URL: acl: want"},
		"blob keys":        {env: map[string]string{"BLOB_URL": "s3://b?endpoint=https://s3.example"}, want: "AWS_ACCESS_KEY_ID: goes with"},
		"blob secret":      {env: map[string]string{"BLOB_URL": "s3://b?endpoint=https://s3.example", "AWS_ACCESS_KEY_ID": "a"}, want: "AWS_SECRET_ACCESS_KEY: goes with"},
		"keys for nothing": {env: map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, want: "AWS_ACCESS_KEY_ID: goes with"},
		"local files":      {env: map[string]string{"MONGODB_URI": "mongodb://a/h", "KEYS_FILE": "k"}, want: "BLOB_URL: mandatory"},
		"log level":        {env: map[string]string{"LOG_LEVEL": "loud"}, want: "LOG_LEVEL: want"},
		"several at once":  {env: map[string]string{"LOG_LEVEL": "loud", "DEMO": "x"}, want: "DEMO: want auto, on or off\nLOG_LEVEL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := loadFor(t, c.args, c.env)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestFlagsWinOverTheEnvironment(t *testing.T) {
	t.Parallel()
	c, err := loadFor(t, []string{"-addr", "127.0.0.1:1", "-trusted-proxies", "10.0.0.0/8,::1"}, map[string]string{"ADDR": "127.0.0.1:2", "PUBLIC_URL": "https://h.example/"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Addr != "127.0.0.1:1" || c.PublicURL != "https://h.example" || len(c.TrustedProxies) != 2 || c.KeysFile != "data/keys.json" {
		t.Fatalf("got %+v", c)
	}
}

func TestUnknownFlagIsRefused(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	fs, _ := newFlags("serve", &out)
	fs.Init("serve", flag.ContinueOnError)
	if err := fs.Parse([]string{"-adr", "x"}); err == nil || !strings.Contains(out.String(), "-adr") {
		t.Fatalf("got %v, %q", err, out.String())
	}
}

// The README has the table of settings, word for word.
func TestReadmeHasTheTableOfSettings(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range settings {
		def := "`" + s.Default + "`"
		if s.Default == "" {
			def = ""
		}
		line := "| `" + s.Name + "` | `-" + s.Flag() + "` | " + def + " | " + s.Doc + " |"
		if !strings.Contains(string(readme), line) {
			t.Errorf("the README lacks\n%s", line)
		}
	}
}

func TestBlobURL(t *testing.T) {
	t.Parallel()
	keys := map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "BLOB_URL": "s3://files?endpoint=http://minio:9000&region=cn-south-1"}
	c, err := loadFor(t, nil, keys)
	if err != nil {
		t.Fatal(err)
	}
	if b := c.Blobs.bucket; c.Blobs.dir != "" || b.Bucket != "files" || b.Endpoint != "minio:9000" || !b.Plain || b.Region != "cn-south-1" || b.AccessKey != "id" || b.SecretKey != "secret" {
		t.Errorf("read as %+v", c.Blobs)
	}
	if _, err := openBlobs(t.Context(), c); err != nil {
		t.Error(err)
	}
	for v, want := range map[string]string{"": "data/blobs", "file:///srv/files/": "/srv/files"} {
		if c, err := loadFor(t, nil, map[string]string{"BLOB_URL": v}); err != nil || c.Blobs.dir != want {
			t.Errorf("%q is %+v, %v", v, c.Blobs, err)
		}
	}
}
