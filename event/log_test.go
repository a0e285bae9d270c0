package event_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/verbatim-es/verbatim/event"
)

// pages is a reader that hands out prepared pages.
type pages struct {
	event.Reader
	next  []event.Page
	asked []event.Selection
}

func (p *pages) ReadPage(_ context.Context, s event.Selection, _ event.PageOptions) (event.Page, error) {
	p.asked = append(p.asked, s)
	if len(p.next) == 0 {
		return event.Page{}, errNoMore
	}
	page := p.next[0]
	p.next = p.next[1:]
	return page, nil
}

var errNoMore = errors.New("no more pages")

func page(t *testing.T, more bool, last uint64, versions ...uint64) event.Page {
	p := event.Page{Last: last, Head: last, More: more, Count: len(versions)}
	for _, v := range versions {
		a := full()
		record, err := event.BuildRecord(&a, 0, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		event.Seal(record, someID, v, v)
		p.Records = append(p.Records, record...)
	}
	return p
}

func versions(t *testing.T, seq func(func(event.Event, error) bool), want error) (got []uint64) {
	t.Helper()
	for e, err := range seq {
		if err != nil {
			if !errors.Is(err, want) {
				t.Errorf("ended with %v, want %v", err, want)
			}
			return got
		}
		got = append(got, e.Version())
	}
	if want != nil {
		t.Errorf("ended cleanly, want %v", want)
	}
	return got
}

func TestReadGoesOnBehindLast(t *testing.T) {
	t.Parallel()
	log := &pages{next: []event.Page{page(t, true, 2, 1, 2), page(t, true, 9), page(t, false, 11, 10)}}
	got := versions(t, event.Read(t.Context(), log, event.Selection{AfterID: someID}), nil)
	if !slices.Equal(got, []uint64{1, 2, 10}) {
		t.Errorf("read %v", got)
	}
	if after := []uint64{log.asked[1].After, log.asked[2].After}; !slices.Equal(after, []uint64{2, 9}) || !log.asked[1].AfterID.IsZero() {
		t.Errorf("went on with %+v", log.asked[1:])
	}
}

func TestReadStopsAtItsLimit(t *testing.T) {
	t.Parallel()
	log := &pages{next: []event.Page{page(t, true, 2, 1, 2), page(t, true, 3, 3)}}
	if got := versions(t, event.Read(t.Context(), log, event.Selection{Limit: 3}), nil); len(got) != 3 || log.asked[1].Limit != 1 {
		t.Errorf("read %v by %+v", got, log.asked)
	}
}

func TestSubscribeTellsWhenItIsLive(t *testing.T) {
	t.Parallel()
	log := &pages{next: []event.Page{page(t, true, 1, 1), page(t, false, 2, 2), page(t, false, 3, 3)}}
	var live []bool
	caughtUp := uint64(0)
	for e, err := range event.Subscribe(t.Context(), log, event.Selection{}, event.SubscribeOptions{CaughtUp: func(p uint64) { caughtUp += p }}) {
		if err != nil {
			break
		}
		live = append(live, e.Live)
	}
	if !slices.Equal(live, []bool{false, false, true}) || caughtUp != 2 {
		t.Errorf("live was %v, caught up at %d", live, caughtUp)
	}
}

// A stream that is shorter than FromVersion grows: what is still below it is
// not delivered.
func TestFromVersionHoldsForLaterPages(t *testing.T) {
	t.Parallel()
	log := &pages{next: []event.Page{page(t, false, 2), page(t, false, 5, 3, 4, 5)}}
	got := versions(t, event.Subscribe(t.Context(), log, event.Selection{Stream: "account-42", FromVersion: 4}, event.SubscribeOptions{}), errNoMore)
	if !slices.Equal(got, []uint64{4, 5}) {
		t.Errorf("delivered %v", got)
	}
}

func TestDamagedPageEndsTheSequence(t *testing.T) {
	t.Parallel()
	whole := page(t, false, 2, 1, 2)
	for name, change := range map[string]func([]byte) []byte{
		"cut in a record": func(b []byte) []byte { return b[:len(b)-8] },
		"cut in a prefix": func(b []byte) []byte { return b[:len(b)/2+2] },
		"flipped":         func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
	} {
		damaged := whole
		damaged.Records = change(slices.Clone(whole.Records))
		var corrupt *event.CorruptError
		var got []uint64
		for e, err := range event.Read(t.Context(), &pages{next: []event.Page{damaged}}, event.Selection{}) {
			if errors.As(err, &corrupt); err == nil {
				got = append(got, e.Version())
			}
		}
		if corrupt == nil || !slices.Equal(got, []uint64{1}) {
			t.Errorf("%s: read %v, then %v", name, got, corrupt)
		}
	}
}
