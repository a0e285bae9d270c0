package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/projection"
	"github.com/verbatim-es/verbatim/wampbus"
)

// Sources are what a [Collector] reads; any may be nil.
type Sources struct {
	Store interface{ Stats() eventstore.Stats }
	Views interface{ Stats() projection.Stats }
	Bus   interface{ Stats() wampbus.Stats }
}

// Collector is a [prometheus.Collector] of the sources' numbers. One registry
// can hold several, of several stores, when each is registered through
// [prometheus.WrapRegistererWith] with labels that tell them apart.
type Collector struct{ sources Sources }

// New returns a collector to be registered.
func New(sources Sources) *Collector { return &Collector{sources} }

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range c.descs() {
		ch <- desc
	}
}

func (c *Collector) descs() []*prometheus.Desc {
	var descs []*prometheus.Desc
	if c.sources.Store != nil {
		descs = append(descs, storeMetrics.descs()...)
		descs = append(descs, commitDuration, foldDuration, indexDuration, batchEvents, storeInfo)
	}
	if c.sources.Views != nil {
		descs = append(descs, engineMetrics.descs()...)
		descs = append(descs, viewMetrics.descs()...)
	}
	if c.sources.Bus != nil {
		descs = append(descs, busMetrics.descs()...)
		descs = append(descs, busCalls, busTransports, busLogins)
	}
	return descs
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	if c.sources.Store != nil {
		collectStore(ch, c.sources.Store.Stats())
	}
	if c.sources.Views != nil {
		collectViews(ch, c.sources.Views.Stats())
	}
	if c.sources.Bus != nil {
		collectBus(ch, c.sources.Bus.Stats())
	}
}

// family is metrics that are read from one kind of stats.
type family[S any] []metric[S]

type metric[S any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(S) float64
}

func counter[S any](name, help string, value func(S) float64, labels ...string) metric[S] {
	return metric[S]{prometheus.NewDesc(name, help, labels, nil), prometheus.CounterValue, value}
}

func gauge[S any](name, help string, value func(S) float64, labels ...string) metric[S] {
	return metric[S]{prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue, value}
}

func (f family[S]) descs() []*prometheus.Desc {
	descs := make([]*prometheus.Desc, len(f))
	for i, m := range f {
		descs[i] = m.desc
	}
	return descs
}

func (f family[S]) collect(ch chan<- prometheus.Metric, stats S, labels ...string) {
	for _, m := range f {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(stats), labels...)
	}
}

// boolean is 1 for true.
func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
