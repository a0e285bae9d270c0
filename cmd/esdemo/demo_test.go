package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newDemo(t *testing.T) *demo {
	return &demo{
		demoCmd:  demoCmd{Commands: 400, Clients: 4, Seed: 7},
		dir:      t.TempDir(),
		progress: io.Discard,
		log:      slog.New(slog.DiscardHandler),
	}
}

func TestDemo(t *testing.T) {
	found, err := newDemo(t).run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range found.disagreements {
		t.Error(d)
	}
	var out bytes.Buffer
	if err := found.print(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var line struct {
		Events     uint64  `json:"events"`
		Refused    int     `json:"refused"`
		Log        string  `json:"log_sha256"`
		Live       string  `json:"live_sha256"`
		Replay     string  `json:"replay_sha256"`
		Delivered  uint64  `json:"live_delivered"`
		Repaired   uint64  `json:"repaired"`
		ViewEqual  bool    `json:"view_equal"`
		SumOK      bool    `json:"sum_of_balances_ok"`
		SeatsOK    bool    `json:"seats_ok"`
		SecondsRun float64 `json:"seconds"`
	}
	decoder := json.NewDecoder(strings.NewReader(lines[len(lines)-1]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&line); err != nil {
		t.Fatal(err)
	}
	if line.Events == 0 || line.Refused == 0 || line.SecondsRun <= 0 || !line.ViewEqual || !line.SumOK || !line.SeatsOK {
		t.Errorf("the demo found %+v", line)
	}
	if len(line.Log) != 64 || line.Live != line.Log || line.Replay != line.Log {
		t.Errorf("the hashes differ: %+v", line)
	}
	if line.Delivered+line.Repaired != line.Events {
		t.Errorf("%d live and %d repaired of %d", line.Delivered, line.Repaired, line.Events)
	}
}

// A comparison that can't fail proves nothing: each leg is corrupted in turn,
// and the demo must say so.
func TestEveryLegIsCompared(t *testing.T) {
	for name, tc := range map[string]struct {
		tamper tamper
		want   string
	}{
		"log":     {tamper{stored: flipOne()}, "read back hash"},
		"live":    {tamper{live: flipOne()}, "received live hash"},
		"replay":  {tamper{replayed: flipOne()}, "read back hash"},
		"fold":    {tamper{fold: richer}, "differ from the fold"},
		"row":     {tamper{fold: func(f fold) { delete(f, house) }}, "differ from the fold"},
		"rebuild": {tamper{rebuilt: func(d *projectionDigest) { d.Backward[0] ^= 1 }}, "its rebuild differ"},
		"refused": {tamper{predicted: optimist()}, "predicted accepted, was"},
		"seats":   {tamper{seats: func(n int) int { return n - 1 }}, "gives seat 20 of 19"},
		"sum":     {tamper{inflow: func(n int64) int64 { return n + 1 }}, "add up to"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDemo(t)
			d.tamper = tc.tamper
			found, err := d.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(found.disagreements, "\n"); !strings.Contains(all, tc.want) {
				t.Errorf("nothing said %q; what disagreed: %q", tc.want, all)
			}
		})
	}
}

// flipOne flips one bit in the hundredth record it sees.
func flipOne() func([]byte) []byte {
	seen := 0
	return func(record []byte) []byte {
		if seen++; seen == 100 {
			record[len(record)-1] ^= 1
		}
		return record
	}
}

func richer(f fold) {
	row := f[house]
	row.Balance++
	f[house] = row
}

// optimist turns every tenth predicted refusal into an acceptance.
func optimist() func(outcome) outcome {
	return func(o outcome) outcome {
		if o == overdraft {
			return accepted
		}
		return o
	}
}

func TestBadNumbersNameTheirFlag(t *testing.T) {
	t.Parallel()
	for flag, c := range map[string]demoCmd{
		"--clients":  {Commands: 10, Clients: 0},
		"--commands": {Commands: 1, Clients: 2},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%+v: got %v", c, err)
		}
	}
}
