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
	counter("verbatim_bus_sessions_delayed_total", "Sessions that joined later because others from their address were ended for what they did.",
		func(s wampbus.Stats) float64 { return float64(s.Delayed) }),
	counter("verbatim_bus_logins_throttled_total", "Logins that were delayed or refused because others had failed before.",
		func(s wampbus.Stats) float64 { return float64(s.LoginsThrottled) }),
	gauge("verbatim_bus_calls_in_flight", "Calls being served.",
		func(s wampbus.Stats) float64 { return float64(s.CallsInFlight) }),
	counter("verbatim_bus_calls_refused_total", "Calls refused because their session, or all together, had too many in flight.",
		func(s wampbus.Stats) float64 { return float64(s.CallsRefused) }),
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

var busTransports = prometheus.NewDesc("verbatim_bus_transport_sessions",
	"Clients connected, by transport.", []string{"transport"}, nil)

var busLogins = prometheus.NewDesc("verbatim_bus_logins_failed_total",
	"Failed logins, by authentication method.", []string{"method"}, nil)

func collectBus(ch chan<- prometheus.Metric, s wampbus.Stats) {
	busMetrics.collect(ch, s)
	for transport, n := range s.SessionsBy {
		ch <- prometheus.MustNewConstMetric(busTransports, prometheus.GaugeValue, float64(n), transport)
	}
	for method, n := range s.LoginsFailed {
		ch <- prometheus.MustNewConstMetric(busLogins, prometheus.CounterValue, float64(n), method)
	}
	for call, n := range s.Calls {
		ch <- prometheus.MustNewConstMetric(busCalls, prometheus.CounterValue, float64(n),
			strings.TrimSuffix(call.Procedure, "."), call.Outcome)
	}
}
