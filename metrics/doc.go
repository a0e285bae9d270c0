// Package metrics shows a store, its views and its bus to Prometheus.
//
//	registry.MustRegister(metrics.New(metrics.Sources{Store: store, Views: views, Bus: bus}))
//
// The framework counts for itself and knows no Prometheus; a [Collector] reads
// those numbers when it is scraped. Scraping reads memory only and takes
// microseconds.
//
// The names of metrics and labels are public API. All begin with "verbatim_",
// are in base units, and end in "_total" where they count; counters begin at 0
// when the store, the engine or the bus is opened. docs/OPERATIONS.md says which
// to watch.
package metrics
