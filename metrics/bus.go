package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/verbatim-es/verbatim/wampbus"
)

var busMetrics = family[wampbus.Stats]{
	gauge("verbatim_bus_sessions", "Clients connected.",
		func(s wampbus.Stats) float64 { return float64(s.Sessions) }),
	counter("verbatim_bus_sessions_total", "Clients that ever joined the realm.",
		func(s wampbus.Stats) float64 { return float64(s.Joined) }),
	counter("verbatim_bus_sessions_ended_total", "Sessions that the bus ended: too slow, against the protocol, silent.",
		func(s wampbus.Stats) float64 { return float64(s.Ended) }),
	gauge("verbatim_bus_calls_in_flight", "Calls being served.",
		func(s wampbus.Stats) float64 { return float64(s.CallsInFlight) }),
	counter("verbatim_bus_published_events_total", "Events published.",
		func(s wampbus.Stats) float64 { return float64(s.Published) }),
	gauge("verbatim_bus_published_position", "Position of the last event published.",
		func(s wampbus.Stats) float64 { return float64(s.PublishedPosition) }),
	counter("verbatim_bus_sent_bytes_total", "Bytes written to clients.",
		func(s wampbus.Stats) float64 { return float64(s.BytesOut) }),
	gauge("verbatim_bus_queue_bytes", "Bytes that wait to be written to clients.",
		func(s wampbus.Stats) float64 { return float64(s.QueueBytes) }),
	gauge("verbatim_bus_queue_bytes_max", "The most bytes that ever waited for one client.",
		func(s wampbus.Stats) float64 { return float64(s.QueueHigh) }),
}

var busCalls = prometheus.NewDesc("verbatim_bus_calls_total",
	"Calls served, by procedure and outcome: \"ok\" or the error's URI.", []string{"procedure", "outcome"}, nil)

func collectBus(ch chan<- prometheus.Metric, s wampbus.Stats) {
	busMetrics.collect(ch, s)
	for call, n := range s.Calls {
		ch <- prometheus.MustNewConstMetric(busCalls, prometheus.CounterValue, float64(n),
			strings.TrimSuffix(call.Procedure, "."), call.Outcome)
	}
}
