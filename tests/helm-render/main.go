// Renders a chart as Helm does. In: a chart's folder, files of values, a release. Out: as JSON, every manifest as text
// and as what its text means, and the notes. Refuses values that the chart's schema refuses, with Helm's words, and,
// where Helm is silent, a reference to a value that is not there and a key that stands twice in a manifest.
//
// It does what `helm template` does with the libraries that Helm is made of (text/template, sprig, gojsonschema,
// sigs.k8s.io/yaml), for machines that have no helm. Dependencies of charts, hooks and post-renderers are left out.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
)

type files []string

func (f *files) String() string     { return strings.Join(*f, ",") }
func (f *files) Set(s string) error { *f = append(*f, s); return nil }

func main() {
	var values files
	flag.Var(&values, "values", "file of values; later ones count before earlier ones, - is the input")
	release := Release{Name: "weft", Namespace: "kube-system", Service: "Helm", IsInstall: true, Revision: 1}
	flag.StringVar(&release.Name, "release", release.Name, "name of the release")
	flag.StringVar(&release.Namespace, "namespace", release.Namespace, "namespace of the release")
	kube := flag.String("kube-version", "1.33.0", "version of the cluster")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: helm-render [flags] CHART")
		os.Exit(2)
	}
	rendered, err := run(flag.Arg(0), values, release, *kube)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(rendered)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(folder string, valueFiles []string, release Release, kube string) (*Rendered, error) {
	chart, err := loadChart(folder)
	if err != nil {
		return nil, err
	}
	capabilities, err := capabilitiesOf(chart, kube)
	if err != nil {
		return nil, err
	}
	values, err := coalesce(chart.defaults, valueFiles)
	if err != nil {
		return nil, err
	}
	if err := checkSchema(chart, values); err != nil {
		return nil, err
	}
	return render(chart, values, release, capabilities)
}
