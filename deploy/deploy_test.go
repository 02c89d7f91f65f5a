// Package deploy_test reads the files of this folder with the tools' own parsers where there are any, and holds them to what the
// program expects: the settings it has, the probes it answers, the Go version it is built with.
package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// settings are all there are.
var settings = []string{
	"ADDR", "DATA_DIR", "PUBLIC_URL", "DEMO", "MONGODB_URI", "MEILISEARCH_URL", "MEILISEARCH_API_KEY", "FIREBASE_PROJECT",
	"GOOGLE_APPLICATION_CREDENTIALS", "FCM_ENDPOINT", "OUTBOUND_ALLOW", "TRUSTED_PROXIES", "KEYS_FILE", "BLOB_URL", "AWS_ACCESS_KEY_ID",
	"AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE", "LABEL_FONT", "OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "LEDGER_WITNESS_URLS",
	"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_TRACES_SAMPLER_ARG", "LOG_LEVEL",
}

// mandatory settings of every deployment on MongoDB.
var mandatory = []string{"ADDR", "DATA_DIR", "PUBLIC_URL", "MONGODB_URI", "KEYS_FILE", "BLOB_URL"}

// checkSettings holds a deployment's environment to the list: nothing unknown, no demonstration, no fake FCM.
func checkSettings(t *testing.T, env map[string]string) {
	t.Helper()
	for name, value := range env {
		if !slices.Contains(settings, name) {
			t.Errorf("%s is no setting", name)
		}
		if name == "FCM_ENDPOINT" && value != "" {
			t.Error("FCM_ENDPOINT is for tests")
		}
	}
	if env["DEMO"] != "off" {
		t.Errorf("DEMO is %q, want off", env["DEMO"])
	}
}

func checkMandatory(t *testing.T, env map[string]string) {
	t.Helper()
	for _, name := range mandatory {
		if env[name] == "" {
			t.Errorf("%s is not set", name)
		}
	}
}

// checkImage wants a tag that says which version.
func checkImage(t *testing.T, image string) {
	t.Helper()
	if !regexp.MustCompile(`:v?\d+\.\d+\.\d+(-[a-z]+)?$|:local$`).MatchString(image) {
		t.Errorf("image %q is not pinned", image)
	}
}

func TestSettingsAreThoseOfTheProgram(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../cmd/api/config.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^\t\{"([A-Z_]+)",`).FindAllStringSubmatch(string(source), -1) {
		names = append(names, m[1])
	}
	if !slices.Equal(slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(settings))) {
		t.Errorf("the program has %v", names)
	}
}

func loadCompose(t *testing.T, environment ...string) (*types.Project, error) {
	t.Helper()
	o, err := cli.NewProjectOptions([]string{"compose.yaml"}, cli.WithWorkingDirectory("."), cli.WithEnv(environment),
		cli.WithEnvFiles("env.example"), cli.WithDotEnv, cli.WithInterpolation(true), cli.WithConsistency(true))
	if err != nil {
		t.Fatal(err)
	}
	return o.LoadProject(t.Context())
}

func TestCompose(t *testing.T) {
	t.Parallel()
	p, err := loadCompose(t, "MONGODB_PASSWORD=secret")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.Services {
		checkImage(t, s.Image)
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s is published on %q", s.Name, port.HostIP)
			}
		}
	}
	api, err := p.GetService("api")
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for name, value := range api.Environment {
		if value == nil {
			t.Errorf("%s has no value", name)
			continue
		}
		env[name] = *value
	}
	checkSettings(t, env)
	checkMandatory(t, env)
	if want := "mongodb://haisu:secret@mongodb:27017/haisu?replicaSet=rs0&authSource=haisu"; env["MONGODB_URI"] != want {
		t.Errorf("MONGODB_URI %s", env["MONGODB_URI"])
	}
	if !api.ReadOnly || !slices.Contains(api.CapDrop, "ALL") || !slices.Contains(api.SecurityOpt, "no-new-privileges:true") {
		t.Error("the api's container is not locked down")
	}
	if env["KEYS_FILE"] != "/run/secrets/keys.json" || !slices.ContainsFunc(api.Secrets, func(s types.ServiceSecretConfig) bool { return s.Source == "keys.json" }) {
		t.Error("the keys file is not mounted where KEYS_FILE says")
	}
	if d := api.DependsOn["mongodb-init"]; d.Condition != types.ServiceConditionCompletedSuccessfully {
		t.Error("the api may start before the replica set")
	}
	for _, name := range []string{"mongodb", "meilisearch"} {
		if s := p.Services[name]; s.HealthCheck == nil || len(s.HealthCheck.Test) == 0 {
			t.Errorf("%s has no health check", name)
		}
	}
	if cmd := strings.Join(p.Services["mongodb"].Entrypoint, " "); !strings.Contains(cmd, "--replSet rs0") || !strings.Contains(cmd, "--keyFile") {
		t.Errorf("mongodb is started with %s", cmd)
	}
	if key := p.Services["meilisearch"].Environment["MEILI_MASTER_KEY"]; key == nil || len(*key) < 16 {
		t.Error("Meilisearch has no master key that it accepts")
	}
}

func TestComposeNeedsItsSecrets(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"MONGODB_PASSWORD", "MONGODB_ROOT_PASSWORD", "MEILISEARCH_API_KEY", "PUBLIC_URL", "HAISU_KEYS"} {
		if _, err := loadCompose(t, name+"="); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// instruction is one of a Dockerfile's.
type instruction struct{ name, args string }

func dockerfile(t *testing.T) []instruction {
	t.Helper()
	b, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var list []instruction
	for line := range strings.Lines(strings.ReplaceAll(string(b), "\\\n", " ")) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, args, _ := strings.Cut(line, " ")
		list = append(list, instruction{name, strings.TrimSpace(args)})
	}
	return list
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	known := strings.Fields("ARG FROM ENV WORKDIR COPY RUN USER VOLUME EXPOSE STOPSIGNAL ENTRYPOINT CMD")
	args, env, last := map[string]string{}, map[string]string{}, map[string]string{}
	stages := 0
	for _, i := range dockerfile(t) {
		if !slices.Contains(known, i.name) {
			t.Errorf("instruction %s", i.name)
		}
		last[i.name] = i.args
		switch i.name {
		case "ARG":
			name, value, _ := strings.Cut(i.args, "=")
			args[name] = value
		case "FROM":
			stages++
			clear(env)
			if image, _, _ := strings.Cut(os.Expand(i.args, func(s string) string { return args[s] }), " "); image != "scratch" {
				checkImage(t, image)
			}
		case "ENV":
			for pair := range strings.FieldsSeq(i.args) {
				name, value, _ := strings.Cut(pair, "=")
				env[name] = value
			}
		case "RUN":
			if strings.Contains(i.args, "go build") && !strings.Contains(i.args, "./cmd/api") {
				t.Errorf("builds %s", i.args)
			}
			if strings.Contains(i.args, "go build") && env["CGO_ENABLED"] != "0" {
				t.Error("the binary is not static")
			}
		}
	}
	if want := goVersion(t); args["GO_VERSION"] != want {
		t.Errorf("Go %s, go.mod says %s", args["GO_VERSION"], want)
	}
	if stages != 2 || last["FROM"] != "scratch" {
		t.Errorf("%d stages, the last from %s", stages, last["FROM"])
	}
	if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(last["USER"]) {
		t.Errorf("USER %q is not a number that Kubernetes can tell from root", last["USER"])
	}
	if last["VOLUME"] != `["/data"]` || env["DATA_DIR"] != "/data" {
		t.Errorf("data in %s, volume %s", env["DATA_DIR"], last["VOLUME"])
	}
	if last["ENTRYPOINT"] != `["/api"]` || last["CMD"] != `["serve"]` {
		t.Errorf("starts %s %s", last["ENTRYPOINT"], last["CMD"])
	}
	delete(env, "ZONEINFO") // the Go runtime's
	checkSettings(t, env)
}

func goVersion(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch(b)
	if m == nil {
		t.Fatal("go.mod has no go line")
	}
	return string(m[1])
}

// unit reads a systemd unit: section, then name, then values in order.
func unit(t *testing.T, file string) map[string]map[string][]string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sections, current := map[string]map[string][]string{}, ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			current = strings.Trim(line, "[]")
			sections[current] = map[string][]string{}
		default:
			name, value, ok := strings.Cut(line, "=")
			if !ok || sections[current] == nil {
				t.Fatalf("line %q", line)
			}
			sections[current][name] = append(sections[current][name], value)
		}
	}
	return sections
}

func TestSystemdUnit(t *testing.T) {
	t.Parallel()
	service := unit(t, "haisu.service")["Service"]
	for name, want := range map[string]string{
		"DynamicUser": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "StateDirectory": "haisu", "NoNewPrivileges": "yes",
		"PrivateTmp": "yes", "PrivateDevices": "yes", "CapabilityBoundingSet": "", "MemoryDenyWriteExecute": "yes",
		"SystemCallArchitectures": "native", "ExecStart": "/usr/local/bin/haisu-api serve", "Restart": "always",
	} {
		if got := service[name]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	env := map[string]string{}
	for _, line := range service["Environment"] {
		for pair := range strings.FieldsSeq(line) {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
	}
	checkSettings(t, env)
	if env["DATA_DIR"] != "%S/haisu" || !strings.HasPrefix(env["ADDR"], "127.0.0.1:") {
		t.Errorf("environment %v", env)
	}
}

// TestSystemdAccepts asks systemd itself, where there is one.
func TestSystemdAccepts(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: the unit is only checked by TestSystemdUnit")
	}
	b, err := os.ReadFile("haisu.service")
	if err != nil {
		t.Fatal(err)
	}
	// verify wants the program to exist.
	text := regexp.MustCompile(`(?m)^ExecStart=\S+`).ReplaceAllString(string(b), "ExecStart=/bin/true")
	file := filepath.Join(t.TempDir(), "haisu.service")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"verify", "--man=no", file},
		{"security", "--offline=true", "--no-pager", "--threshold=20", file}, // 2.0 of 10
	} {
		out, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput()
		if err != nil || args[0] == "verify" && strings.Contains(string(out), "haisu.service") {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}
