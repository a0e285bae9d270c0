package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/verbatim-es/verbatim/eventstore"
)

var storeMetrics = family[eventstore.Stats]{
	gauge("verbatim_store_head_position", "Position of the last event.",
		func(s eventstore.Stats) float64 { return float64(s.Head) }),
	gauge("verbatim_store_log_position", "Position up to which the log has followed the journal.",
		func(s eventstore.Stats) float64 { return float64(s.LogPosition) }),
	gauge("verbatim_store_index_position", "Position up to which the index has followed the log.",
		func(s eventstore.Stats) float64 { return float64(s.IndexPosition) }),
	counter("verbatim_store_commits_total", "Commits that made events durable.",
		func(s eventstore.Stats) float64 { return float64(s.Commits) }),
	counter("verbatim_store_events_total", "Events made durable.",
		func(s eventstore.Stats) float64 { return float64(s.Events) }),
	counter("verbatim_store_record_bytes_total", "Bytes of the records made durable.",
		func(s eventstore.Stats) float64 { return float64(s.RecordBytes) }),
	counter("verbatim_store_appends_total", "Appends that were stored.",
		func(s eventstore.Stats) float64 { return float64(s.Appends) }),
	counter("verbatim_store_conflicts_total", "Appends refused because a condition did not hold.",
		func(s eventstore.Stats) float64 { return float64(s.Conflicts) }),
	counter("verbatim_store_repeats_total", "Appends answered by the receipt of an earlier one with their key.",
		func(s eventstore.Stats) float64 { return float64(s.Repeats) }),
	counter("verbatim_store_clock_behind_total", "Commits at which the clock was behind the last event's time.",
		func(s eventstore.Stats) float64 { return float64(s.ClockBehind) }),
	gauge("verbatim_store_tail_events", "Events in memory that the index has not taken up.",
		func(s eventstore.Stats) float64 { return float64(s.TailEvents) }),
	gauge("verbatim_store_tail_bytes", "Bytes of memory for events that log or index have not taken up.",
		func(s eventstore.Stats) float64 { return float64(s.TailBytes) }),
	gauge("verbatim_store_queued_appends", "Appends that wait for the disk.",
		func(s eventstore.Stats) float64 { return float64(s.QueuedAppends) }),
	gauge("verbatim_store_waiters", "Reads that wait for their next event.",
		func(s eventstore.Stats) float64 { return float64(s.Waiters) }),
	counter("verbatim_store_journal_frames_total", "Frames written to the journal.",
		func(s eventstore.Stats) float64 { return float64(s.JournalFrames) }),
	counter("verbatim_store_journal_bytes_total", "Bytes written to the journal, padding included.",
		func(s eventstore.Stats) float64 { return float64(s.JournalBytes) }),
	gauge("verbatim_store_journal_segments", "Files of the journal.",
		func(s eventstore.Stats) float64 { return float64(s.JournalSegments) }),
	gauge("verbatim_store_journal_free_segments", "Files of the journal that hold nothing which the log has not taken up.",
		func(s eventstore.Stats) float64 { return float64(s.JournalFree) }),
	gauge("verbatim_store_log_bytes", "Size of the log's data file.",
		func(s eventstore.Stats) float64 { return float64(s.LogBytes) }),
	gauge("verbatim_store_index_bytes", "Size of the index's data file.",
		func(s eventstore.Stats) float64 { return float64(s.IndexBytes) }),
	gauge("verbatim_store_read_only", "1 when the store takes no appends: after a disk error, or because it was opened so.",
		func(s eventstore.Stats) float64 { return boolean(s.ReadOnly != "") }),
}

var (
	storeInfo = prometheus.NewDesc("verbatim_store_info",
		"Always 1; the label names the store.", []string{"store"}, nil)
	commitDuration = prometheus.NewDesc("verbatim_store_commit_duration_seconds",
		"How long commits took, from their first write to the end of the sync.", nil, nil)
	foldDuration = prometheus.NewDesc("verbatim_store_fold_duration_seconds",
		"How long the log's transactions took, by which it followed the journal.", nil, nil)
	indexDuration = prometheus.NewDesc("verbatim_store_index_flush_duration_seconds",
		"How long the index's transactions took, by which it followed the log.", nil, nil)
	batchEvents = prometheus.NewDesc("verbatim_store_commit_events",
		"How many events a commit made durable.", nil, nil)
)

func collectStore(ch chan<- prometheus.Metric, s eventstore.Stats) {
	storeMetrics.collect(ch, s)
	ch <- prometheus.MustNewConstMetric(storeInfo, prometheus.GaugeValue, 1, s.Store.String())
	for desc, d := range map[*prometheus.Desc]eventstore.Durations{
		commitDuration: {Buckets: s.CommitDurations, Sum: s.CommitTime}, foldDuration: s.Folds, indexDuration: s.IndexFlushes,
	} {
		ch <- histogram(desc, eventstore.CommitBuckets[:], d.Buckets[:], d.Sum.Seconds(), time.Duration.Seconds)
	}
	ch <- histogram(batchEvents, eventstore.BatchBuckets[:], s.BatchEvents[:], float64(s.Events),
		func(n uint64) float64 { return float64(n) })
}

// histogram turns counts per bucket, the last one without an upper bound, into
// the cumulative counts of Prometheus.
func histogram[B any](desc *prometheus.Desc, bounds []B, counts []uint64, sum float64, value func(B) float64) prometheus.Metric {
	cumulative, total := make(map[float64]uint64, len(bounds)), uint64(0)
	for i, bound := range bounds {
		total += counts[i]
		cumulative[value(bound)] = total
	}
	return prometheus.MustNewConstHistogram(desc, total+counts[len(bounds)], sum, cumulative)
}
