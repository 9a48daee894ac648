// An adapter from Prometheus to the custom metrics API, on the library that prometheus-adapter is
// made of. It reads rules as prometheus-adapter does, with a name of their own (`name.as`) and a
// resource for each label (`resources.overrides`).
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/template"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli/flag"
	"k8s.io/component-base/logs"
	"k8s.io/klog/v2"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	basecmd "sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider/helpers"
	"sigs.k8s.io/yaml"
)

type rule struct {
	MetricsQuery string
	Name         struct{ As string }
	Resources    struct {
		Overrides map[string]struct{ Resource string }
	}
}

// labelOf returns the label that names a resource, or nothing.
func (r rule) labelOf(wanted string) string {
	for label, one := range r.Resources.Overrides {
		if one.Resource == wanted {
			return label
		}
	}
	return ""
}

type adapter struct {
	basecmd.AdapterBase
	rules      []rule
	prometheus string
}

func (a *adapter) ListAllMetrics() []provider.CustomMetricInfo {
	var found []provider.CustomMetricInfo
	for _, one := range a.rules {
		for _, of := range one.Resources.Overrides {
			if of.Resource != "namespace" {
				kind := schema.GroupResource{Resource: of.Resource + "s"}
				info := provider.CustomMetricInfo{GroupResource: kind, Namespaced: true, Metric: one.Name.As}
				found = append(found, info)
			}
		}
	}
	return found
}

func (a *adapter) GetMetricByName(
	ctx context.Context, name types.NamespacedName, info provider.CustomMetricInfo, _ labels.Selector,
) (*custom_metrics.MetricValue, error) {
	found, err := a.values(ctx, name.Namespace, []string{name.Name}, info)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, provider.NewMetricNotFoundForError(info.GroupResource, info.Metric, name.Name)
	}
	return &found[0], nil
}

func (a *adapter) GetMetricBySelector(
	ctx context.Context, namespace string, selector labels.Selector,
	info provider.CustomMetricInfo, _ labels.Selector,
) (*custom_metrics.MetricValueList, error) {
	mapper, err := a.RESTMapper()
	if err != nil {
		return nil, err
	}
	client, err := a.DynamicClient()
	if err != nil {
		return nil, err
	}
	names, err := helpers.ListObjectNames(mapper, client, namespace, selector, info)
	if err != nil {
		return nil, err
	}
	found, err := a.values(ctx, namespace, names, info)
	return &custom_metrics.MetricValueList{Items: found}, err
}

func (a *adapter) values(
	ctx context.Context, namespace string, names []string, info provider.CustomMetricInfo,
) ([]custom_metrics.MetricValue, error) {
	mapper, err := a.RESTMapper()
	if err != nil {
		return nil, err
	}
	info, singular, err := info.Normalized(mapper)
	if err != nil {
		return nil, err
	}
	for _, one := range a.rules {
		if label := one.labelOf(singular); one.Name.As == info.Metric && label != "" {
			samples, err := a.ask(ctx, one, label, namespace, names)
			if err != nil {
				return nil, err
			}
			var found []custom_metrics.MetricValue
			for name, value := range samples {
				of := types.NamespacedName{Namespace: namespace, Name: name}
				reference, err := helpers.ReferenceFor(mapper, of, info)
				if err != nil {
					return nil, err
				}
				found = append(found, custom_metrics.MetricValue{
					DescribedObject: reference,
					Metric:          custom_metrics.MetricIdentifier{Name: info.Metric},
					Timestamp:       metav1.Time{Time: time.Now()},
					Value:           *resource.NewMilliQuantity(int64(value*1000), resource.DecimalSI),
				})
			}
			return found, nil
		}
	}
	return nil, provider.NewMetricNotFoundError(info.GroupResource, info.Metric)
}

// ask returns the value of each object that Prometheus knows.
func (a *adapter) ask(
	ctx context.Context, from rule, label, namespace string, names []string,
) (map[string]float64, error) {
	parsed, err := template.New("query").Delims("<<", ">>").Parse(from.MetricsQuery)
	if err != nil {
		return nil, err
	}
	var query bytes.Buffer
	matchers := fmt.Sprintf("%s=%q,%s=~%q", from.labelOf("namespace"), namespace, label, strings.Join(names, "|"))
	err = parsed.Execute(&query, map[string]string{"LabelMatchers": matchers, "GroupBy": label})
	if err != nil {
		return nil, err
	}
	address := a.prometheus + "/api/v1/query?query=" + url.QueryEscape(query.String())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var read struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&read); err != nil {
		return nil, err
	}
	if read.Error != "" {
		return nil, fmt.Errorf("Prometheus refuses %s: %s", query.String(), read.Error)
	}
	found := map[string]float64{}
	for _, one := range read.Data.Result {
		value, err := strconv.ParseFloat(fmt.Sprint(one.Value[1]), 64)
		if err != nil {
			return nil, err
		}
		found[one.Metric[label]] = value
	}
	return found, nil
}

func (a *adapter) read(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var config struct{ Rules []rule }
	err = yaml.Unmarshal(text, &config)
	a.rules = config.Rules
	return err
}

func main() {
	a := &adapter{}
	a.Name = "adapter"
	flags := a.Flags()
	config := flags.String("config", "", "file with the rules")
	flags.StringVar(&a.prometheus, "prometheus-url", "", "address of Prometheus")
	logs.AddFlags(flags)
	flags.SetNormalizeFunc(flag.WordSepNormalizeFunc)
	if err := flags.Parse(os.Args); err != nil {
		klog.Fatal(err)
	}
	if err := a.read(*config); err != nil {
		klog.Fatal(err)
	}
	a.WithCustomMetrics(a)
	if err := a.Run(genericapiserver.SetupSignalContext()); err != nil {
		klog.Fatal(err)
	}
}
