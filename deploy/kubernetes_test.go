package deploy_test

import (
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"testing"

	"gopkg.in/yaml.v3"
)

// The parts of the Kubernetes API that the manifest uses. Decoding is strict: a name that is not here is a mistake in the
// manifest, or must be added with a check.
type (
	meta struct {
		Name   string            `yaml:"name"`
		Labels map[string]string `yaml:"labels"`
	}
	header struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string `yaml:"kind"`
		Metadata   meta   `yaml:"metadata"`
	}
	selector struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	}
	configMap struct {
		header `yaml:",inline"`
		Data   map[string]string `yaml:"data"`
	}
	serviceAccount struct {
		header    `yaml:",inline"`
		Automount *bool `yaml:"automountServiceAccountToken"`
	}
	service struct {
		header `yaml:",inline"`
		Spec   struct {
			Selector map[string]string `yaml:"selector"`
			Ports    []struct {
				Name       string `yaml:"name"`
				Port       int    `yaml:"port"`
				TargetPort string `yaml:"targetPort"`
			} `yaml:"ports"`
		} `yaml:"spec"`
	}
	disruptionBudget struct {
		header `yaml:",inline"`
		Spec   struct {
			MinAvailable int      `yaml:"minAvailable"`
			Selector     selector `yaml:"selector"`
		} `yaml:"spec"`
	}
	deployment struct {
		header `yaml:",inline"`
		Spec   struct {
			Replicas int `yaml:"replicas"`
			Strategy struct {
				Type          string         `yaml:"type"`
				RollingUpdate map[string]int `yaml:"rollingUpdate"`
			} `yaml:"strategy"`
			Selector selector `yaml:"selector"`
			Template struct {
				Metadata struct {
					Labels map[string]string `yaml:"labels"`
				} `yaml:"metadata"`
				Spec pod `yaml:"spec"`
			} `yaml:"template"`
		} `yaml:"spec"`
	}
	pod struct {
		ServiceAccountName string `yaml:"serviceAccountName"`
		Automount          *bool  `yaml:"automountServiceAccountToken"`
		ServiceLinks       *bool  `yaml:"enableServiceLinks"`
		Grace              int    `yaml:"terminationGracePeriodSeconds"`
		SecurityContext    struct {
			NonRoot bool              `yaml:"runAsNonRoot"`
			User    int               `yaml:"runAsUser"`
			Group   int               `yaml:"runAsGroup"`
			FSGroup int               `yaml:"fsGroup"`
			Seccomp map[string]string `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		Spread []struct {
			MaxSkew           int      `yaml:"maxSkew"`
			TopologyKey       string   `yaml:"topologyKey"`
			WhenUnsatisfiable string   `yaml:"whenUnsatisfiable"`
			LabelSelector     selector `yaml:"labelSelector"`
		} `yaml:"topologySpreadConstraints"`
		InitContainers []container `yaml:"initContainers"`
		Containers     []container `yaml:"containers"`
		Volumes        []struct {
			Name     string `yaml:"name"`
			EmptyDir *struct {
				Medium    string `yaml:"medium"`
				SizeLimit string `yaml:"sizeLimit"`
			} `yaml:"emptyDir"`
			Secret *struct {
				SecretName  string `yaml:"secretName"`
				DefaultMode int    `yaml:"defaultMode"`
			} `yaml:"secret"`
		} `yaml:"volumes"`
	}
	container struct {
		Name    string   `yaml:"name"`
		Image   string   `yaml:"image"`
		Command []string `yaml:"command"`
		Args    []string `yaml:"args"`
		EnvFrom []struct {
			ConfigMapRef meta `yaml:"configMapRef"`
		} `yaml:"envFrom"`
		Env []struct {
			Name      string `yaml:"name"`
			ValueFrom struct {
				SecretKeyRef struct {
					Name string `yaml:"name"`
					Key  string `yaml:"key"`
				} `yaml:"secretKeyRef"`
			} `yaml:"valueFrom"`
		} `yaml:"env"`
		Ports []struct {
			Name          string `yaml:"name"`
			ContainerPort int    `yaml:"containerPort"`
		} `yaml:"ports"`
		Startup   probe `yaml:"startupProbe"`
		Liveness  probe `yaml:"livenessProbe"`
		Readiness probe `yaml:"readinessProbe"`
		Lifecycle struct {
			PreStop struct {
				Sleep struct {
					Seconds int `yaml:"seconds"`
				} `yaml:"sleep"`
			} `yaml:"preStop"`
		} `yaml:"lifecycle"`
		SecurityContext struct {
			Escalation   *bool               `yaml:"allowPrivilegeEscalation"`
			ReadOnly     bool                `yaml:"readOnlyRootFilesystem"`
			NonRoot      bool                `yaml:"runAsNonRoot"`
			Capabilities map[string][]string `yaml:"capabilities"`
		} `yaml:"securityContext"`
		Resources struct {
			Requests map[string]string `yaml:"requests"`
			Limits   map[string]string `yaml:"limits"`
		} `yaml:"resources"`
		VolumeMounts []struct {
			Name      string `yaml:"name"`
			MountPath string `yaml:"mountPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
	}
	probe struct {
		HTTPGet struct {
			Path string `yaml:"path"`
			Port string `yaml:"port"`
		} `yaml:"httpGet"`
		Period    int `yaml:"periodSeconds"`
		Timeout   int `yaml:"timeoutSeconds"`
		Threshold int `yaml:"failureThreshold"`
	}
)

// manifest is the whole file.
type manifest struct {
	config     configMap
	account    serviceAccount
	service    service
	budget     disruptionBudget
	deployment deployment
}

func readManifest(t *testing.T) manifest {
	t.Helper()
	f, err := os.Open("kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	var m manifest
	kinds := map[string]any{
		"v1 ConfigMap": &m.config, "v1 ServiceAccount": &m.account, "v1 Service": &m.service,
		"policy/v1 PodDisruptionBudget": &m.budget, "apps/v1 Deployment": &m.deployment,
	}
	for d := yaml.NewDecoder(f); ; {
		var doc yaml.Node
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		var h header
		if err := doc.Decode(&h); err != nil {
			t.Fatal(err)
		}
		kind := h.APIVersion + " " + h.Kind
		into, ok := kinds[kind]
		if !ok {
			t.Fatalf("a second or unknown %s", kind)
		}
		delete(kinds, kind)
		strictly(t, &doc, into)
	}
	for kind := range kinds {
		t.Errorf("no %s", kind)
	}
	return m
}

// strictly decodes a document whose every name must be known. A yaml.Node itself cannot: it goes through text again.
func strictly(t *testing.T, doc *yaml.Node, into any) {
	t.Helper()
	r, w := io.Pipe()
	go func() {
		e := yaml.NewEncoder(w)
		err := e.Encode(doc)
		_ = w.CloseWithError(errors.Join(err, e.Close())) // reaches the reader
	}()
	d := yaml.NewDecoder(r)
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatal(err)
	}
}

func TestKubernetesSettings(t *testing.T) {
	t.Parallel()
	m := readManifest(t)
	api := m.deployment.Spec.Template.Spec.Containers[0]
	env := maps.Clone(m.config.Data)
	for _, e := range api.Env {
		if _, twice := env[e.Name]; twice {
			t.Errorf("%s is set twice", e.Name)
		}
		if ref := e.ValueFrom.SecretKeyRef; ref.Name != "haisu" || ref.Key != e.Name {
			t.Errorf("%s comes from %+v", e.Name, ref)
		}
		env[e.Name] = "(secret)"
	}
	checkSettings(t, env)
	checkMandatory(t, env)
	for _, secret := range []string{"MONGODB_URI", "MEILISEARCH_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		if env[secret] != "(secret)" {
			t.Errorf("%s is not a secret", secret)
		}
	}
	if len(api.EnvFrom) != 1 || api.EnvFrom[0].ConfigMapRef.Name != m.config.Metadata.Name {
		t.Errorf("settings come from %+v", api.EnvFrom)
	}
	if !slices.Equal(api.Args, []string{"serve"}) || env["ADDR"] != ":8080" || api.Ports[0].ContainerPort != 8080 {
		t.Errorf("serves %v on %s, port %+v", api.Args, env["ADDR"], api.Ports)
	}
}

func TestKubernetesIsLockedDown(t *testing.T) {
	t.Parallel()
	spec := readManifest(t).deployment.Spec.Template.Spec
	if s := spec.SecurityContext; !s.NonRoot || s.User == 0 || s.Group == 0 || s.FSGroup != s.Group || s.Seccomp["type"] != "RuntimeDefault" {
		t.Errorf("the pod's security context is %+v", s)
	}
	if spec.Automount == nil || *spec.Automount {
		t.Error("the pod has a token for the Kubernetes API")
	}
	if spec.ServiceLinks == nil || *spec.ServiceLinks {
		t.Error("names of services become environment variables")
	}
	mounted := map[string]bool{}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		checkImage(t, c.Image)
		s := c.SecurityContext
		if s.Escalation == nil || *s.Escalation || !s.ReadOnly || !s.NonRoot || !slices.Equal(s.Capabilities["drop"], []string{"ALL"}) {
			t.Errorf("%s: security context %+v", c.Name, s)
		}
		if c.Resources.Requests["cpu"] == "" || c.Resources.Requests["memory"] == "" || c.Resources.Limits["memory"] == "" {
			t.Errorf("%s: resources %+v", c.Name, c.Resources)
		}
		for _, v := range c.VolumeMounts {
			mounted[v.Name] = true
		}
	}
	for _, v := range spec.Volumes {
		if !mounted[v.Name] {
			t.Errorf("volume %s is not mounted", v.Name)
		}
		delete(mounted, v.Name)
		if v.Secret != nil && v.Secret.DefaultMode&0o007 != 0 {
			t.Errorf("volume %s has mode %o", v.Name, v.Secret.DefaultMode)
		}
	}
	for name := range mounted {
		t.Errorf("there is no volume %s", name)
	}
}

func TestKubernetesStaysUp(t *testing.T) {
	t.Parallel()
	m := readManifest(t)
	d := m.deployment.Spec
	api := d.Template.Spec.Containers[0]
	for name, p := range map[string]struct {
		probe
		path string
	}{
		"startup": {api.Startup, "/healthz"}, "liveness": {api.Liveness, "/healthz"}, "readiness": {api.Readiness, "/readyz"},
	} {
		if p.HTTPGet.Path != p.path || p.HTTPGet.Port != "http" || p.Period == 0 || p.Threshold == 0 {
			t.Errorf("%s probe: %+v", name, p.probe)
		}
	}
	if d.Replicas < 2 || d.Replicas <= m.budget.Spec.MinAvailable || m.budget.Spec.MinAvailable < 1 {
		t.Errorf("%d replicas, of which %d must be up", d.Replicas, m.budget.Spec.MinAvailable)
	}
	if d.Strategy.RollingUpdate["maxUnavailable"] != 0 {
		t.Error("an update takes replicas away before their successors are ready")
	}
	if stop := api.Lifecycle.PreStop.Sleep.Seconds; d.Template.Spec.Grace < stop+30 {
		t.Errorf("%d s to stop, %d of them asleep", d.Template.Spec.Grace, stop)
	}
	labels := d.Template.Metadata.Labels
	for name, s := range map[string]map[string]string{
		"deployment": d.Selector.MatchLabels, "service": m.service.Spec.Selector, "budget": m.budget.Spec.Selector.MatchLabels,
		"spread": d.Template.Spec.Spread[0].LabelSelector.MatchLabels,
	} {
		if len(s) == 0 || !maps.Equal(s, labels) {
			t.Errorf("%s selects %v, pods have %v", name, s, labels)
		}
	}
	if p := m.service.Spec.Ports; len(p) != 1 || p[0].TargetPort != api.Ports[0].Name {
		t.Errorf("the service's ports are %+v", p)
	}
	if d.Template.Spec.ServiceAccountName != m.account.Metadata.Name || m.account.Automount == nil || *m.account.Automount {
		t.Error("the service account is not the one here, or has a token")
	}
}
