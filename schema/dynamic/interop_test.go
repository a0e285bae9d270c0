package dynamic

import (
	"bytes"
	"encoding/json"
	"testing"
)

// flatc and this package read the same JSON, and each other's data.
func TestGoldenInterop(t *testing.T) {
	t.Parallel()
	all := features(t)
	for _, name := range []string{"full", "special"} {
		ours, theirs := parse(t, all, string(testdata(t, name+".json"))), testdata(t, name+".flatc.bin")
		if got, want := render(t, all, ours), render(t, all, theirs); got != want {
			t.Errorf("%s: ours is\n%s\nflatc's\n%s", name, got, want)
		}
	}
	ours := parse(t, all, string(testdata(t, "full.json")))
	golden(t, "full.ours.bin", ours)
	if again := parse(t, all, string(testdata(t, "full.flatc.json"))); !bytes.Equal(again, ours) {
		t.Errorf("what flatc reads in our data is\n%s\nwant\n%s", render(t, all, again), render(t, all, ours))
	}
	golden(t, "full.ours.json", []byte(render(t, all, ours)+"\n"))
	golden(t, "special.ours.json", []byte(render(t, all, parse(t, all, string(testdata(t, "special.json"))))+"\n"))
}

// What comes out is JSON to the standard library, and comes back as it was.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, s := range corpus(t) {
		text := render(t, s.table, s.data)
		if !json.Valid([]byte(text)) {
			t.Errorf("%s: not JSON: %s", s.name, text)
		}
		again := parse(t, s.table, text)
		if got := render(t, s.table, again); got != text {
			t.Errorf("%s: came back as\n%s\nwas\n%s", s.name, got, text)
		}
		if third := parse(t, s.table, text); !bytes.Equal(again, third) {
			t.Errorf("%s: the same text gave other bytes", s.name)
		}
		var streamed bytes.Buffer
		if err := s.table.WriteJSON(&streamed, s.data); err != nil || streamed.String() != text {
			t.Errorf("%s: streamed as %s, %v", s.name, streamed.String(), err)
		}
	}
}
