package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/verbatim-es/verbatim/projection"
)

var engineMetrics = family[projection.Stats]{
	gauge("verbatim_views_position", "Position that all live views have applied.",
		func(s projection.Stats) float64 { return float64(s.Position) }),
	gauge("verbatim_views_failing", "1 while the log can't be read or the views not be written.",
		func(s projection.Stats) float64 { return boolean(s.Err != nil) }),
}

var viewMetrics = family[projection.ViewStats]{
	gauge("verbatim_view_position", "Position that the view has applied.",
		func(v projection.ViewStats) float64 { return float64(v.Position) }, "view", "version"),
	gauge("verbatim_view_lag_events", "Events in the log that the view has not applied.",
		func(v projection.ViewStats) float64 { return float64(v.Lag) }, "view", "version"),
	gauge("verbatim_view_rows", "Rows of the view.",
		func(v projection.ViewStats) float64 { return float64(v.Rows) }, "view", "version"),
	gauge("verbatim_view_live", "1 when the view follows the log and can be read.",
		func(v projection.ViewStats) float64 { return boolean(v.Live) }, "view", "version"),
	gauge("verbatim_view_parked", "1 when the view stands still at an event that its handler failed on.",
		func(v projection.ViewStats) float64 { return boolean(v.Parked != nil) }, "view", "version"),
	gauge("verbatim_view_serving", "1 for the version that the view is read from.",
		func(v projection.ViewStats) float64 { return boolean(v.Serving) }, "view", "version"),
	gauge("verbatim_view_skipped_events", "Events that the version leaves out, by decision.",
		func(v projection.ViewStats) float64 { return float64(len(v.Skipped)) }, "view", "version"),
	gauge("verbatim_view_stuck_seconds", "How long the view's handler has not returned from one event.",
		func(v projection.ViewStats) float64 { return v.Stuck.Seconds() }, "view", "version"),
	gauge("verbatim_view_build_positions_per_second", "How fast the version, or its rebuild, catches up.",
		func(v projection.ViewStats) float64 { return v.BuildRate }, "view", "version"),
	gauge("verbatim_view_build_eta_seconds", "When it will have caught up at this rate, 0 when that can't be told.",
		func(v projection.ViewStats) float64 { return v.ETA.Seconds() }, "view", "version"),
	gauge("verbatim_view_rebuilding", "1 while a new build of the view is made.",
		func(v projection.ViewStats) float64 { return boolean(v.Rebuilding) }, "view", "version"),
	counter("verbatim_view_applied_events_total", "Events applied to the view, those of rebuilds too.",
		func(v projection.ViewStats) float64 { return float64(v.Applied) }, "view", "version"),
	counter("verbatim_view_handler_failures_total", "Times that the view's handler failed.",
		func(v projection.ViewStats) float64 { return float64(v.Failures) }, "view", "version"),
}

func collectViews(ch chan<- prometheus.Metric, s projection.Stats) {
	engineMetrics.collect(ch, s)
	for _, v := range s.Views {
		viewMetrics.collect(ch, v, v.Name, v.Version)
	}
}
