package eventstore

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

// TestExpensiveFilterIsReadInBoundedPages asks for the same events 256 times
// over, which takes more steps than a page may.
func TestExpensiveFilterIsReadInBoundedPages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	filled(t, dir)
	for _, indexed := range []bool{true, false} {
		s := openFaulty(t, dir, Options{})
		if !indexed {
			s = openFaulty(t, t.TempDir(), Options{})
			a := event.Append{Stream: "ledger-1"}
			for i := range 600 {
				a.Events = append(a.Events, eventstoretest.Struck(int64(i)))
			}
			mustAppend(t, s, a)
		}
		for _, backward := range []bool{false, true} {
			sel := event.Selection{Backward: backward, Query: slices.Repeat(event.Query{{Types: []string{eventstoretest.StruckType}}}, event.MaxItems)}
			want, err := s.ReadPage(t.Context(), event.Selection{Backward: backward, Types: []string{eventstoretest.StruckType}}, event.PageOptions{})
			if err != nil || want.More {
				t.Fatalf("%v: %+v", err, want)
			}
			var records []byte
			pages := 0
			for more := true; more; pages++ {
				page, err := s.ReadPage(t.Context(), sel, event.PageOptions{})
				if err != nil {
					t.Fatal(err)
				}
				records = append(records, page.Records...)
				sel.After, more = page.Last, page.More
			}
			if pages < 2 || !slices.Equal(records, want.Records) {
				t.Errorf("indexed %v, backward %v: %d bytes in %d pages, want %d in several", indexed, backward, len(records), pages, len(want.Records))
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// givenUp is a context that ends once it was asked.
type givenUp struct {
	context.Context
	asked bool
}

func (c *givenUp) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

func (c *givenUp) Err() error {
	if !c.asked {
		c.asked = true
		return nil
	}
	return context.Canceled
}

func TestReadingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	filled(t, dir)
	s := openFaulty(t, dir, Options{})
	for _, sel := range []event.Selection{
		{},
		{Stream: "ledger-1"},
		{Types: []string{"contract."}},
		{Tags: []string{"text:n0", "text:n1"}},
		{Tags: []string{"text:n0", "text:n1"}, Backward: true},
	} {
		if _, err := s.ReadPage(&givenUp{Context: t.Context()}, sel, event.PageOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%+v: %v", sel, err)
		}
	}
}
