package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/Masterminds/semver"
	"github.com/xeipuuv/gojsonschema"
	"sigs.k8s.io/yaml"
)

// Chart is a chart's folder, read.
type Chart struct {
	meta      map[string]interface{}
	defaults  map[string]interface{}
	schema    []byte
	templates map[string]string
	files     Files
}

func (c *Chart) name() string { return fmt.Sprint(c.meta["name"]) }

// Release is what a template sees as .Release.
type Release struct {
	Name, Namespace, Service string
	IsInstall, IsUpgrade     bool
	Revision                 int
}

// KubeVersion is what a template sees as .Capabilities.KubeVersion.
type KubeVersion struct{ Version, Major, Minor string }

func (k KubeVersion) String() string     { return k.Version }
func (k KubeVersion) GitVersion() string { return k.Version }

// APIVersions is what a template sees as .Capabilities.APIVersions.
type APIVersions []string

// Has tells whether the cluster knows an API.
func (a APIVersions) Has(wanted string) bool {
	for _, known := range a {
		if known == wanted {
			return true
		}
	}
	return false
}

// Capabilities is what a template sees as .Capabilities.
type Capabilities struct {
	KubeVersion KubeVersion
	APIVersions APIVersions
	HelmVersion struct{ Version string }
}

func loadChart(folder string) (*Chart, error) {
	chart := &Chart{templates: map[string]string{}, files: Files{}}
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch {
		case name == "Chart.yaml":
			return wrap(path, yaml.UnmarshalStrict(content, &chart.meta))
		case name == "values.yaml":
			return wrap(path, yaml.UnmarshalStrict(content, &chart.defaults))
		case name == "values.schema.json":
			chart.schema = content
		case strings.HasPrefix(name, "templates/"):
			chart.templates[name] = string(content)
		default:
			chart.files[name] = content
		}
		return nil
	})
	if err == nil && chart.meta == nil {
		err = errors.New(folder + " has no Chart.yaml")
	}
	return chart, err
}

func wrap(path string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func capabilitiesOf(chart *Chart, kube string) (*Capabilities, error) {
	version, err := semver.NewVersion(kube)
	if err != nil {
		return nil, wrap("--kube-version", err)
	}
	if wanted, ok := chart.meta["kubeVersion"].(string); ok {
		constraint, err := semver.NewConstraint(wanted)
		if err != nil {
			return nil, wrap("kubeVersion", err)
		}
		if !constraint.Check(version) {
			return nil, fmt.Errorf("chart requires kubeVersion: %s which is incompatible with Kubernetes v%s", wanted, version)
		}
	}
	number := func(n uint64) string { return fmt.Sprint(n) }
	capabilities := &Capabilities{
		KubeVersion: KubeVersion{"v" + version.String(), number(version.Major()), number(version.Minor())},
		APIVersions: APIVersions{"v1", "apps/v1", "policy/v1", "rbac.authorization.k8s.io/v1"},
	}
	capabilities.HelmVersion.Version = "v3.18.0"
	return capabilities, nil
}

// coalesce lays each file of values over the chart's own: maps are merged, anything else replaces, null removes.
func coalesce(defaults map[string]interface{}, valueFiles []string) (map[string]interface{}, error) {
	values := defaults
	for _, path := range valueFiles {
		content, err := read(path)
		if err != nil {
			return nil, err
		}
		over := map[string]interface{}{}
		if err := yaml.UnmarshalStrict(content, &over); err != nil {
			return nil, wrap("values of "+path, err)
		}
		values = merge(values, over)
	}
	return values, nil
}

func read(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(path)
}

func merge(under, over map[string]interface{}) map[string]interface{} {
	merged := map[string]interface{}{}
	for key, value := range under {
		merged[key] = value
	}
	for key, value := range over {
		below, belowIsMap := merged[key].(map[string]interface{})
		above, aboveIsMap := value.(map[string]interface{})
		switch {
		case value == nil:
			delete(merged, key)
		case belowIsMap && aboveIsMap:
			merged[key] = merge(below, above)
		default:
			merged[key] = value
		}
	}
	return merged
}

func checkSchema(chart *Chart, values map[string]interface{}) error {
	if chart.schema == nil {
		return nil
	}
	result, err := gojsonschema.Validate(gojsonschema.NewBytesLoader(chart.schema), gojsonschema.NewGoLoader(values))
	if err != nil {
		return wrap("values.schema.json", err)
	}
	if result.Valid() {
		return nil
	}
	var lines []string
	for _, problem := range result.Errors() {
		lines = append(lines, "- "+problem.String())
	}
	sort.Strings(lines)
	const head = "values don't meet the specifications of the schema(s) in the following chart(s):\n"
	return errors.New(head + chart.name() + ":\n" + strings.Join(lines, "\n"))
}
