package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/haisu-trace/haisu/internal/tracing"
)

// config is what the settings say. It is complete and checked: nothing later reads the environment.
type config struct {
	Addr           string
	DataDir        string
	PublicURL      string // empty: follows from the address that is listened on
	Demo           string // auto, on, off
	MongoURI       string
	MeiliURL       string
	MeiliKey       string
	FirebaseProj   string
	Credentials    string
	FCMEndpoint    string
	TrustedProxies []netip.Prefix
	KeysFile       string
	Blobs          blobPlace
	LabelFont      string // empty: one that the system has
	OIDCIssuer     string
	OIDCClient     string
	OIDCSecret     string
	Witnesses      []*url.URL // addresses that each checkpoint of the transparency log is sent to
	Outbound       []string   // hosts beside those that other settings name
	LogLevel       slog.Level

	Collector        string
	CollectorHeaders map[string]string
	TraceRatio       float64
}

// The values of DEMO.
const (
	demoAuto = "auto"
	demoOn   = "on"
	demoOff  = "off"
)

// setting is one line of the table of settings: the environment variable, the flag of the same name in lower case with
// '-', the default, what it does, and how its value is read.
type setting struct {
	Name, Default, Doc string
	parse              func(c *config, v string) error
}

// Flag is the command-line flag of the setting. It wins over the environment.
func (s setting) Flag() string { return strings.ReplaceAll(strings.ToLower(s.Name), "_", "-") }

// settings is the one table of settings; the README shows it, and a test compares the two.
var settings = []setting{
	{"ADDR", "127.0.0.1:8080", "address to listen on, host:port; port 0 takes a free one", func(c *config, v string) error {
		if _, _, err := net.SplitHostPort(v); err != nil {
			return errors.New("want host:port, such as 127.0.0.1:8080")
		}
		c.Addr = v
		return nil
	}},
	{"DATA_DIR", "data", "directory for the SQLite store, the search index and the keys file", func(c *config, v string) error {
		if v == "" {
			return errors.New("a directory")
		}
		c.DataDir = filepath.Clean(v)
		return nil
	}},
	{"PUBLIC_URL", "", "what QR codes and links begin with; by default http://ADDR, for a loopback ADDR only", func(c *config, v string) error {
		if v == "" {
			return nil
		}
		u, err := url.Parse(v)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
			return errors.New("want an http or https URL with a host and nothing after it, such as https://haisu.example")
		}
		c.PublicURL = u.Scheme + "://" + u.Host
		return nil
	}},
	{"DEMO", demoAuto, "demonstration data: auto loads it into an empty SQLite store on a loopback address, when neither MongoDB nor FCM is set; on asks for it, and is refused by a store with other data; off never loads it", func(c *config, v string) error {
		if v != demoAuto && v != demoOn && v != demoOff {
			return errors.New("want auto, on or off")
		}
		c.Demo = v
		return nil
	}},
	{"MONGODB_URI", "", "MongoDB instead of SQLite; the database is the one that the URI names, else haisu", func(c *config, v string) error {
		if v != "" && !strings.HasPrefix(v, "mongodb://") && !strings.HasPrefix(v, "mongodb+srv://") {
			return errors.New("want mongodb://… or mongodb+srv://…")
		}
		c.MongoURI = v
		return nil
	}},
	{"MEILISEARCH_URL", "", "Meilisearch instead of the search index in DATA_DIR", webURL(func(c *config, v string) { c.MeiliURL = v })},
	{"MEILISEARCH_API_KEY", "", "key for Meilisearch", func(c *config, v string) error { c.MeiliKey = v; return nil }},
	{"FIREBASE_PROJECT", "", "Firebase project to push through; without it pushes go to the log", func(c *config, v string) error { c.FirebaseProj = v; return nil }},
	{"GOOGLE_APPLICATION_CREDENTIALS", "", "file with the service account for FIREBASE_PROJECT; without it the machine's own identity", func(c *config, v string) error {
		if v != "" {
			if _, err := os.Stat(v); err != nil {
				return errors.New("the file cannot be read")
			}
		}
		c.Credentials = v
		return nil
	}},
	{"FCM_ENDPOINT", "", "another server in place of FCM, for tests", webURL(func(c *config, v string) { c.FCMEndpoint = v })},
	{"OUTBOUND_ALLOW", "", "hosts that clients of this program may reach beside those that other settings name, separated by commas: host, host:port or *.example.com", func(c *config, v string) (err error) {
		c.Outbound, err = outboundHosts(v)
		return err
	}},
	{"TRUSTED_PROXIES", "", "proxies whose X-Forwarded-For is believed: addresses and networks, separated by commas", func(c *config, v string) error {
		for part := range strings.SplitSeq(v, ",") {
			part = strings.TrimSpace(part)
			if part == "" {
				continue
			}
			p, err := netip.ParsePrefix(part)
			if a, aerr := netip.ParseAddr(part); err != nil && aerr == nil {
				p, err = netip.PrefixFrom(a, a.BitLen()), nil
			}
			if err != nil {
				return fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", part)
			}
			c.TrustedProxies = append(c.TrustedProxies, p)
		}
		return nil
	}},
	{"KEYS_FILE", "", "file with the encryption keys, mode 0600; by default DATA_DIR/keys.json, which is made; mandatory, and not made, with MongoDB", func(c *config, v string) error {
		c.KeysFile = v
		return nil
	}},
	{"BLOB_URL", "", "where uploaded files are kept: s3://BUCKET?endpoint=https://HOST&region=REGION, or file:///DIR, which all replicas must share; by default DATA_DIR/blobs, but not with MongoDB", func(c *config, v string) (err error) {
		if v != "" {
			c.Blobs, err = parseBlobURL(v) // before the keys, which are added
		}
		return err
	}},
	{"AWS_ACCESS_KEY_ID", "", "access key for the bucket of BLOB_URL", func(c *config, v string) error { c.Blobs.bucket.AccessKey = v; return nil }},
	{"AWS_SECRET_ACCESS_KEY", "", "its secret", func(c *config, v string) error { c.Blobs.bucket.SecretKey = v; return nil }},
	{"AWS_SHARED_CREDENTIALS_FILE", "", "file with both, as the AWS tools write it; its section default counts", func(c *config, v string) error {
		if v != "" {
			if _, err := os.Stat(v); err != nil {
				return errors.New("the file cannot be read")
			}
		}
		c.Blobs.bucket.CredentialsFile = v
		return nil
	}},
	{"LABEL_FONT", "", "TrueType or OpenType file for Chinese text on label sheets; by default Noto Sans CJK or WenQuanYi where the system has it, else the viewer's own font", func(c *config, v string) error {
		c.LabelFont = v
		return nil
	}},
	{"OIDC_ISSUER", "", "OpenID provider through which operators may sign in, such as https://id.example; its callback is PUBLIC_URL/v1/sessions/oidc/callback", webURL(func(c *config, v string) { c.OIDCIssuer = v })},
	{"OIDC_CLIENT_ID", "", "this installation's client ID at the OpenID provider", func(c *config, v string) error { c.OIDCClient = v; return nil }},
	{"OIDC_CLIENT_SECRET", "", "its secret; empty for a public client, which PKCE alone protects", func(c *config, v string) error { c.OIDCSecret = v; return nil }},
	{"OTEL_EXPORTER_OTLP_ENDPOINT", "", "OpenTelemetry collector that takes traces over HTTP, such as http://127.0.0.1:4318; without it there are none", webURL(func(c *config, v string) { c.Collector = v })},
	{"OTEL_EXPORTER_OTLP_HEADERS", "", "headers for the collector, name=value separated by commas, values percent-encoded", func(c *config, v string) (err error) {
		c.CollectorHeaders, err = tracing.ParseHeaders(v)
		return err
	}},
	{"OTEL_TRACES_SAMPLER_ARG", "0.01", "the part of requests that are traced, 0 to 1, where a trusted proxy has not decided", func(c *config, v string) (err error) {
		c.TraceRatio, err = ratio(v)
		return err
	}},
	{"LEDGER_WITNESS_URLS", "", "where checkpoints of the transparency log are posted to, at most one a minute each: https URLs, separated by commas; what nobody outside holds proves nothing", func(c *config, v string) error {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			u, err := url.Parse(part)
			if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
				return fmt.Errorf("%q is no https URL", part)
			}
			if !slices.ContainsFunc(c.Witnesses, func(w *url.URL) bool { return *w == *u }) {
				c.Witnesses = append(c.Witnesses, u)
			}
		}
		return nil
	}},
	{"LOG_LEVEL", "info", "debug, info, warn or error", func(c *config, v string) error {
		levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
		l, ok := levels[v]
		if !ok {
			return errors.New("want debug, info, warn or error")
		}
		c.LogLevel = l
		return nil
	}},
}

func webURL(set func(c *config, v string)) func(c *config, v string) error {
	return func(c *config, v string) error {
		if v == "" {
			return nil
		}
		u, err := url.Parse(v)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return errors.New("want an http or https URL")
		}
		set(c, strings.TrimRight(v, "/"))
		return nil
	}
}

// errUsage is printed already; the process ends with status 2.
var errUsage = errors.New("usage")

// newFlags makes a flag set with a flag for every setting.
func newFlags(name string, stderr io.Writer) (*flag.FlagSet, map[string]*string) {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	values := map[string]*string{}
	for _, s := range settings {
		values[s.Name] = fs.String(s.Flag(), "", s.Doc+" (environment "+s.Name+")")
	}
	return fs, values
}

// load reads the settings from parsed flags and the environment. An error names the setting.
func load(fs *flag.FlagSet, values map[string]*string, getenv func(string) string) (*config, error) {
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var c config
	var bad []error
	for _, s := range settings {
		v := getenv(s.Name)
		if given[s.Flag()] {
			v = *values[s.Name]
		}
		if v == "" {
			v = s.Default
		}
		if err := s.parse(&c, v); err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", s.Name, err))
		}
	}
	if len(bad) == 0 {
		bad = c.combinations()
	}
	return &c, errors.Join(bad...)
}

// combinations checks what depends on several settings, and fills in defaults that do.
func (c *config) combinations() []error {
	var bad []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			bad = append(bad, fmt.Errorf(format, args...))
		}
	}
	need(c.PublicURL != "" || c.loopback(), "PUBLIC_URL: needed, since ADDR %s is not a loopback address", c.Addr)
	need(c.MeiliKey == "" || c.MeiliURL != "", "MEILISEARCH_API_KEY: useless without MEILISEARCH_URL")
	need(c.Credentials == "" || c.FirebaseProj != "", "GOOGLE_APPLICATION_CREDENTIALS: useless without FIREBASE_PROJECT")
	need(c.FCMEndpoint == "" || c.FirebaseProj != "", "FCM_ENDPOINT: useless without FIREBASE_PROJECT")
	need(c.MongoURI == "" || c.KeysFile != "", "KEYS_FILE: mandatory with MONGODB_URI, since all replicas need the same keys")
	b := &c.Blobs.bucket
	need(c.MongoURI == "" || c.Blobs.dir != "" || b.Bucket != "", "BLOB_URL: mandatory with MONGODB_URI, since all replicas need the same files: s3://…, or file:///… on a file system that they share")
	need((b.AccessKey == "") == (b.SecretKey == ""), "AWS_SECRET_ACCESS_KEY: goes with AWS_ACCESS_KEY_ID")
	need(b.AccessKey == "" || b.CredentialsFile == "", "AWS_SHARED_CREDENTIALS_FILE: instead of AWS_ACCESS_KEY_ID, not beside it")
	need((b.Bucket != "") == (b.AccessKey != "" || b.CredentialsFile != ""), "AWS_ACCESS_KEY_ID: goes with BLOB_URL=s3://…, or AWS_SHARED_CREDENTIALS_FILE does")
	need((c.OIDCIssuer == "") == (c.OIDCClient == ""), "OIDC_CLIENT_ID: goes with OIDC_ISSUER")
	need(c.OIDCSecret == "" || c.OIDCIssuer != "", "OIDC_CLIENT_SECRET: useless without OIDC_ISSUER")
	need(c.OIDCIssuer == "" || strings.HasPrefix(c.OIDCIssuer, "https://") || c.loopback(), "OIDC_ISSUER: must be https, but for a test on a loopback ADDR")
	need(c.Demo != demoOn || c.MongoURI == "", "DEMO: demonstration data is for SQLite only; unset MONGODB_URI")
	need(c.Demo != demoOn || c.FirebaseProj == "", "DEMO: demonstration data never goes through FCM; unset FIREBASE_PROJECT")
	if c.KeysFile == "" {
		c.KeysFile = filepath.Join(c.DataDir, "keys.json")
	}
	if c.Blobs.dir == "" && c.Blobs.bucket.Bucket == "" {
		c.Blobs.dir = filepath.Join(c.DataDir, "blobs")
	}
	return bad
}

func (c *config) loopback() bool {
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return false
	}
	return loopback(host)
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}
