package metrics_test

import (
	"fmt"
	"log"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
	"github.com/verbatim-es/verbatim/metrics"
)

// A store's numbers in a registry, which promhttp.HandlerFor serves.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := eventstore.Open(dir, eventstore.Options{Schemas: eventstoretest.Schema})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.New(metrics.Sources{Store: store}))

	families, err := registry.Gather() // what a scrape does
	if err != nil {
		log.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "verbatim_store_read_only" {
			fmt.Println(family.GetHelp(), family.GetMetric()[0].GetGauge().GetValue())
		}
	}
	// Output: 1 when the store takes no appends: after a disk error, or because it was opened so. 0
}
