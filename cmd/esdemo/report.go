package main

import (
	"encoding/json"
	"fmt"
	"io"
)

// report is what the demo found. Its JSON form is the last line of stdout.
type report struct {
	Events        uint64  `json:"events"`
	Refused       int     `json:"refused"`
	LogSHA256     string  `json:"log_sha256"`
	LiveSHA256    string  `json:"live_sha256"`
	ReplaySHA256  string  `json:"replay_sha256"`
	LiveDelivered uint64  `json:"live_delivered"`
	Repaired      uint64  `json:"repaired"`
	ViewEqual     bool    `json:"view_equal"`
	SumOK         bool    `json:"sum_of_balances_ok"`
	SeatsOK       bool    `json:"seats_ok"`
	Seconds       float64 `json:"seconds"`

	commands      int
	enrolled      int
	disagreements []string
}

// disagree notes something that should have been equal and was not.
func (r *report) disagree(format string, args ...any) {
	r.disagreements = append(r.disagreements, fmt.Sprintf(format, args...))
}

// compareHashes is the promise of the name: the same bytes on every way.
func (r *report) compareHashes() {
	if r.LiveSHA256 != r.LogSHA256 {
		r.disagree("the records received live hash to %s, those in the log to %s", r.LiveSHA256, r.LogSHA256)
	}
	if r.ReplaySHA256 != r.LogSHA256 {
		r.disagree("the records read back hash to %s, those in the log to %s", r.ReplaySHA256, r.LogSHA256)
	}
	if r.LiveDelivered+r.Repaired != r.Events {
		r.disagree("%d events live and %d repaired do not make %d", r.LiveDelivered, r.Repaired, r.Events)
	}
}

// print writes the findings for a person, and the JSON line.
func (r *report) print(w io.Writer) error {
	fmt.Fprintf(w, "%d commands over the bus in %.1f s: %d refused as predicted, %d events stored\n",
		r.commands, r.Seconds, r.Refused, r.Events)
	fmt.Fprintf(w, "sha-256 over all records, in position order:\n  log    %s  straight from LMDB\n  live   %s  %d received, %d repaired by es.read\n  replay %s  paged by es.read\n",
		r.LogSHA256, r.LiveSHA256, r.LiveDelivered, r.Repaired, r.ReplaySHA256)
	fmt.Fprintf(w, "balances view equals its rebuild and an independent fold: %t\nsum of balances equals money paid in: %t\n", r.ViewEqual, r.SumOK)
	fmt.Fprintf(w, "%d students raced for the %d seats of a course and for others, %d enrolments: no seat given twice, nobody in more than %d: %t\n",
		students, seats, r.enrolled, maxCourses, r.SeatsOK)
	for _, d := range r.disagreements {
		fmt.Fprintf(w, "DISAGREEMENT: %s\n", d)
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", line)
	return err
}
