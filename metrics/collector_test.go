package metrics_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/metrics"
	"github.com/verbatim-es/verbatim/projection"
	"github.com/verbatim-es/verbatim/wampbus"
)

type (
	store struct{ stats eventstore.Stats }
	views struct{ stats projection.Stats }
	bus   struct{ stats wampbus.Stats }
)

func (s store) Stats() eventstore.Stats { return s.stats }
func (v views) Stats() projection.Stats { return v.stats }
func (b bus) Stats() wampbus.Stats      { return b.stats }

func sources() metrics.Sources {
	s := eventstore.Stats{
		Store: event.ID{1}, Head: 12, IndexPosition: 10, Commits: 3, Events: 12,
		CommitTime: 7 * time.Millisecond, ReadOnly: "the disk is gone",
	}
	s.CommitDurations[0], s.CommitDurations[3], s.CommitDurations[len(eventstore.CommitBuckets)] = 1, 1, 1
	s.BatchEvents[1] = 3
	s.LogPosition, s.JournalFrames, s.JournalBytes, s.JournalSegments, s.JournalFree = 11, 3, 12288, 2, 1
	s.Folds.Buckets[5], s.Folds.Sum = 2, 9*time.Millisecond
	s.IndexFlushes.Buckets[6], s.IndexFlushes.Sum = 1, 8*time.Millisecond
	return metrics.Sources{
		Store: store{s},
		Views: views{projection.Stats{Position: 9, Err: errors.New("x"), Views: []projection.ViewStats{
			{Name: "balances", Version: "1", Position: 9, Lag: 3, Live: true, Rows: 4, Applied: 20},
			{Name: "owners", Version: "2", Position: 5, Lag: 7, Parked: &projection.Parked{}, Failures: 1},
		}}},
		Bus: bus{wampbus.Stats{Sessions: 2, SessionsBy: map[string]int{"websocket": 2}, LoginsFailed: map[string]uint64{"ticket": 3}, Joined: 5, Calls: map[wampbus.Call]uint64{
			{Procedure: "es.read", Outcome: "ok"}:                    7,
			{Procedure: "es.command.", Outcome: "es.error.rejected"}: 1,
		}}},
	}
}

// The names are public API: this list changes only with a note in the CHANGELOG.
func TestNamesAreStable(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics.New(sources()))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	if got, want := strings.Join(names, "\n"), strings.TrimSpace(stableNames); got != want {
		t.Errorf("the names are\n%s\nwant\n%s", got, want)
	}
}

// What the documents say to watch is there to be watched.
func TestDocumentsNameMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	there := make(map[string]bool)
	for name := range strings.FieldsSeq(stableNames) {
		there[name] = true
	}
	named := 0
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/decisions/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range regexp.MustCompile("`(verbatim_[a-z_]+)").FindAllSubmatch(text, -1) {
				named++
				if !there[string(name[1])] {
					t.Errorf("%s names %s, which there is not", file, name[1])
				}
			}
		}
	}
	if named < 10 {
		t.Errorf("only %d metrics are named", named)
	}
}

const stableNames = `
verbatim_bus_calls_in_flight
verbatim_bus_calls_refused_total
verbatim_bus_calls_total
verbatim_bus_logins_failed_total
verbatim_bus_logins_throttled_total
verbatim_bus_published_events_total
verbatim_bus_published_position
verbatim_bus_queue_bytes
verbatim_bus_queue_bytes_max
verbatim_bus_sent_bytes_total
verbatim_bus_sessions
verbatim_bus_sessions_delayed_total
verbatim_bus_sessions_ended_total
verbatim_bus_sessions_total
verbatim_bus_transport_sessions
verbatim_store_appends_total
verbatim_store_clock_behind_total
verbatim_store_commit_duration_seconds
verbatim_store_commit_events
verbatim_store_commits_total
verbatim_store_conflicts_total
verbatim_store_events_total
verbatim_store_fold_duration_seconds
verbatim_store_head_position
verbatim_store_index_bytes
verbatim_store_index_flush_duration_seconds
verbatim_store_index_position
verbatim_store_info
verbatim_store_journal_bytes_total
verbatim_store_journal_frames_total
verbatim_store_journal_free_segments
verbatim_store_journal_segments
verbatim_store_log_bytes
verbatim_store_log_position
verbatim_store_queued_appends
verbatim_store_read_only
verbatim_store_record_bytes_total
verbatim_store_repeats_total
verbatim_store_tail_bytes
verbatim_store_tail_events
verbatim_store_waiters
verbatim_view_applied_events_total
verbatim_view_build_eta_seconds
verbatim_view_build_positions_per_second
verbatim_view_handler_failures_total
verbatim_view_lag_events
verbatim_view_live
verbatim_view_parked
verbatim_view_position
verbatim_view_rebuilding
verbatim_view_rows
verbatim_view_serving
verbatim_view_skipped_events
verbatim_view_stuck_seconds
verbatim_views_failing
verbatim_views_position
`

func TestValues(t *testing.T) {
	t.Parallel()
	err := testutil.CollectAndCompare(metrics.New(sources()), strings.NewReader(`
# HELP verbatim_bus_calls_total Calls served, by procedure and outcome: "ok" or the error's URI.
# TYPE verbatim_bus_calls_total counter
verbatim_bus_calls_total{outcome="es.error.rejected",procedure="es.command"} 1
verbatim_bus_calls_total{outcome="ok",procedure="es.read"} 7
# HELP verbatim_store_commit_duration_seconds How long commits took, from their first write to the end of the sync.
# TYPE verbatim_store_commit_duration_seconds histogram
verbatim_store_commit_duration_seconds_bucket{le="0.0001"} 1
verbatim_store_commit_duration_seconds_bucket{le="0.00025"} 1
verbatim_store_commit_duration_seconds_bucket{le="0.0005"} 1
verbatim_store_commit_duration_seconds_bucket{le="0.001"} 2
verbatim_store_commit_duration_seconds_bucket{le="0.0025"} 2
verbatim_store_commit_duration_seconds_bucket{le="0.005"} 2
verbatim_store_commit_duration_seconds_bucket{le="0.01"} 2
verbatim_store_commit_duration_seconds_bucket{le="0.025"} 2
verbatim_store_commit_duration_seconds_bucket{le="0.05"} 2
verbatim_store_commit_duration_seconds_bucket{le="0.1"} 2
verbatim_store_commit_duration_seconds_bucket{le="0.25"} 2
verbatim_store_commit_duration_seconds_bucket{le="1"} 2
verbatim_store_commit_duration_seconds_bucket{le="+Inf"} 3
verbatim_store_commit_duration_seconds_sum 0.007
verbatim_store_commit_duration_seconds_count 3
# HELP verbatim_store_fold_duration_seconds How long the log's transactions took, by which it followed the journal.
# TYPE verbatim_store_fold_duration_seconds histogram
verbatim_store_fold_duration_seconds_bucket{le="0.0001"} 0
verbatim_store_fold_duration_seconds_bucket{le="0.00025"} 0
verbatim_store_fold_duration_seconds_bucket{le="0.0005"} 0
verbatim_store_fold_duration_seconds_bucket{le="0.001"} 0
verbatim_store_fold_duration_seconds_bucket{le="0.0025"} 0
verbatim_store_fold_duration_seconds_bucket{le="0.005"} 2
verbatim_store_fold_duration_seconds_bucket{le="0.01"} 2
verbatim_store_fold_duration_seconds_bucket{le="0.025"} 2
verbatim_store_fold_duration_seconds_bucket{le="0.05"} 2
verbatim_store_fold_duration_seconds_bucket{le="0.1"} 2
verbatim_store_fold_duration_seconds_bucket{le="0.25"} 2
verbatim_store_fold_duration_seconds_bucket{le="1"} 2
verbatim_store_fold_duration_seconds_bucket{le="+Inf"} 2
verbatim_store_fold_duration_seconds_sum 0.009
verbatim_store_fold_duration_seconds_count 2
# HELP verbatim_store_head_position Position of the last event.
# TYPE verbatim_store_head_position gauge
verbatim_store_head_position 12
# HELP verbatim_store_journal_bytes_total Bytes written to the journal, padding included.
# TYPE verbatim_store_journal_bytes_total counter
verbatim_store_journal_bytes_total 12288
# HELP verbatim_store_journal_free_segments Files of the journal that hold nothing which the log has not taken up.
# TYPE verbatim_store_journal_free_segments gauge
verbatim_store_journal_free_segments 1
# HELP verbatim_store_log_position Position up to which the log has followed the journal.
# TYPE verbatim_store_log_position gauge
verbatim_store_log_position 11
# HELP verbatim_store_read_only 1 when the store takes no appends: after a disk error, or because it was opened so.
# TYPE verbatim_store_read_only gauge
verbatim_store_read_only 1
# HELP verbatim_view_lag_events Events in the log that the view has not applied.
# TYPE verbatim_view_lag_events gauge
verbatim_view_lag_events{version="1",view="balances"} 3
verbatim_view_lag_events{version="2",view="owners"} 7
# HELP verbatim_view_parked 1 when the view stands still at an event that its handler failed on.
# TYPE verbatim_view_parked gauge
verbatim_view_parked{version="1",view="balances"} 0
verbatim_view_parked{version="2",view="owners"} 1
`),
		"verbatim_bus_calls_total", "verbatim_store_commit_duration_seconds", "verbatim_store_head_position",
		"verbatim_store_fold_duration_seconds", "verbatim_store_journal_bytes_total", "verbatim_store_journal_free_segments", "verbatim_store_log_position",
		"verbatim_store_read_only", "verbatim_view_lag_events", "verbatim_view_parked")
	if err != nil {
		t.Error(err)
	}
}

func TestLint(t *testing.T) {
	t.Parallel()
	problems, err := testutil.CollectAndLint(metrics.New(sources()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestMissingSources(t *testing.T) {
	t.Parallel()
	if n := testutil.CollectAndCount(metrics.New(metrics.Sources{})); n != 0 {
		t.Errorf("no sources gave %d metrics", n)
	}
}
