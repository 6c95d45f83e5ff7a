package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

const recursionMax = 1000

// Rendered is what the program prints.
type Rendered struct {
	Notes     string     `json:"notes"`
	Manifests []Manifest `json:"manifests"`
}

// Manifest is one document of one template.
type Manifest struct {
	Source string                 `json:"source"`
	Text   string                 `json:"text"`
	Value  map[string]interface{} `json:"value"`
}

func render(chart *Chart, values map[string]interface{}, release Release, caps *Capabilities) (*Rendered, error) {
	root := template.New("gotpl").Option("missingkey=zero")
	root.Funcs(functions(root))
	names := make([]string, 0, len(chart.templates))
	for name := range chart.templates {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if _, err := root.New(chart.name() + "/" + name).Parse(chart.templates[name]); err != nil {
			return nil, err
		}
	}
	rendered := &Rendered{Manifests: []Manifest{}}
	for _, name := range names {
		if strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		full := chart.name() + "/" + name
		var out strings.Builder
		err := root.ExecuteTemplate(&out, full, map[string]interface{}{
			"Values":       values,
			"Release":      release,
			"Chart":        exported(chart.meta),
			"Capabilities": caps,
			"Files":        chart.files,
			"Subcharts":    map[string]interface{}{},
			"Template":     map[string]interface{}{"Name": full, "BasePath": chart.name() + "/templates"},
		})
		if err != nil {
			return nil, err
		}
		if strings.Contains(out.String(), "<no value>") {
			return nil, fmt.Errorf("%s: refers to a value that is not there:\n%s", full, out.String())
		}
		if path.Base(name) == "NOTES.txt" {
			rendered.Notes = out.String()
			continue
		}
		manifests, err := split(full, out.String())
		if err != nil {
			return nil, err
		}
		rendered.Manifests = append(rendered.Manifests, manifests...)
	}
	return rendered, nil
}

// exported gives the keys of Chart.yaml the names of the fields of Helm's own structure.
func exported(meta map[string]interface{}) map[string]interface{} {
	fields := map[string]interface{}{"IsRoot": true}
	for key, value := range meta {
		if key == "apiVersion" {
			key = "APIVersion"
		}
		fields[strings.ToUpper(key[:1])+key[1:]] = value
	}
	return fields
}

func split(source, text string) ([]Manifest, error) {
	var manifests []Manifest
	for _, document := range strings.Split("\n"+text, "\n---") {
		if strings.TrimSpace(document) == "" {
			continue
		}
		value := map[string]interface{}{}
		if err := yaml.UnmarshalStrict([]byte(document), &value); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", source, err, document)
		}
		manifests = append(manifests, Manifest{source, strings.TrimLeft(document, "\n"), value})
	}
	return manifests, nil
}

// functions are sprig's less what reads this machine, and Helm's own.
func functions(root *template.Template) template.FuncMap {
	all := sprig.TxtFuncMap()
	delete(all, "env")
	delete(all, "expandenv")
	depth := map[string]int{}
	own := template.FuncMap{
		"include": func(name string, data interface{}) (string, error) {
			if depth[name] > recursionMax {
				return "", fmt.Errorf("%s includes itself without end", name)
			}
			depth[name]++
			defer func() { depth[name]-- }()
			var out strings.Builder
			err := root.ExecuteTemplate(&out, name, data)
			return out.String(), err
		},
		"tpl": func(text string, data interface{}) (string, error) {
			copied, err := root.Clone()
			if err != nil {
				return "", err
			}
			parsed, err := copied.New("tpl").Parse(text)
			if err != nil {
				return "", err
			}
			var out strings.Builder
			err = parsed.Execute(&out, data)
			return strings.ReplaceAll(out.String(), "<no value>", ""), err
		},
		"required": func(message string, value interface{}) (interface{}, error) {
			if value == nil || value == "" {
				return value, errors.New(message)
			}
			return value, nil
		},
		"lookup":        func(string, string, string, string) map[string]interface{} { return map[string]interface{}{} },
		"getHostByName": func(string) string { return "" },
		"toYaml":        toYaml,
		"toJson":        toJSON,
		"fromYaml":      func(text string) map[string]interface{} { return into(yaml.Unmarshal, text) },
		"fromJson":      func(text string) map[string]interface{} { return into(unmarshalJSON, text) },
		"fromYamlArray": func(text string) []interface{} { return intoArray(yaml.Unmarshal, text) },
		"fromJsonArray": func(text string) []interface{} { return intoArray(unmarshalJSON, text) },
	}
	for name, function := range own {
		all[name] = function
	}
	return all
}

func toYaml(value interface{}) string {
	text, err := yaml.Marshal(value)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(text), "\n")
}

func toJSON(value interface{}) string {
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(text)
}

type decode func([]byte, interface{}, ...yaml.JSONOpt) error

func unmarshalJSON(text []byte, value interface{}, _ ...yaml.JSONOpt) error {
	return json.Unmarshal(text, value)
}

// An error is told in the value, as Helm tells it.
func into(decode decode, text string) map[string]interface{} {
	value := map[string]interface{}{}
	if err := decode([]byte(text), &value); err != nil {
		value["Error"] = err.Error()
	}
	return value
}

func intoArray(decode decode, text string) []interface{} {
	value := []interface{}{}
	if err := decode([]byte(text), &value); err != nil {
		value = []interface{}{err.Error()}
	}
	return value
}

// Files is what a template sees as .Files: everything in the chart that is no template.
type Files map[string][]byte

// GetBytes is a file's content; empty if there is none.
func (f Files) GetBytes(name string) []byte { return f[name] }

// Get is a file's content as text.
func (f Files) Get(name string) string { return string(f[name]) }

// Lines are a file's lines.
func (f Files) Lines(name string) []string {
	return strings.Split(strings.TrimSuffix(string(f[name]), "\n"), "\n")
}

// Glob are the files whose names match.
func (f Files) Glob(pattern string) Files {
	matching := Files{}
	for name, content := range f {
		if ok, err := path.Match(pattern, name); ok && err == nil {
			matching[name] = content
		}
	}
	return matching
}

// AsConfig is the data of a ConfigMap.
func (f Files) AsConfig() string {
	data := map[string]string{}
	for name, content := range f {
		data[path.Base(name)] = string(content)
	}
	return toYaml(data)
}

// AsSecrets is the data of a Secret.
func (f Files) AsSecrets() string {
	data := map[string]string{}
	for name, content := range f {
		data[path.Base(name)] = base64.StdEncoding.EncodeToString(content)
	}
	return toYaml(data)
}
