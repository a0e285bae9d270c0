package event_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
)

func TestSelectionMatches(t *testing.T) {
	t.Parallel()
	e := event.Trusted(sealed(t, full(), 1)) // Deposited in account-42, tags owner:ada and region:eu
	for name, tc := range map[string]struct {
		selection event.Selection
		want      bool
	}{
		"everything":          {event.Selection{}, true},
		"stream":              {event.Selection{Stream: "account-42"}, true},
		"other stream":        {event.Selection{Stream: "account-4"}, false},
		"category":            {event.Selection{Category: "account"}, true},
		"other category":      {event.Selection{Category: "acc"}, false},
		"type":                {event.Selection{Types: []string{"x", "bank.account.Deposited"}}, true},
		"type prefix":         {event.Selection{Types: []string{"bank.account."}}, true},
		"prefix without dot":  {event.Selection{Types: []string{"bank.account"}}, false},
		"all tags":            {event.Selection{Tags: []string{"owner:ada", "region:eu"}}, true},
		"one tag missing":     {event.Selection{Tags: []string{"owner:ada", "region:us"}}, false},
		"any item":            {event.Selection{Query: event.Query{{Types: []string{"x"}}, {Tags: []string{"region:eu"}}}}, true},
		"type and tag":        {event.Selection{Query: event.Query{{Types: []string{"bank."}, Tags: []string{"owner:ada"}}}}, true},
		"type and other tag":  {event.Selection{Query: event.Query{{Types: []string{"bank."}, Tags: []string{"owner:bob"}}}}, false},
		"an empty item":       {event.Selection{Query: event.Query{{}}}, true},
		"an item that cannot": {event.Selection{Query: event.Query{{Types: []string{"y"}}}}, false},
	} {
		if err := tc.selection.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := tc.selection.Matches(e); got != tc.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestSelectionValidate(t *testing.T) {
	t.Parallel()
	for argument, s := range map[string]event.Selection{
		"after":        {After: 1, FromVersion: 2, Stream: "a-1"},
		"query":        {Types: []string{"a"}, Tags: []string{"a:b"}},
		"from_version": {FromVersion: 1},
		"backward":     {Backward: true, Since: time.Unix(1, 0)},
		"limit":        {Limit: -1},
		"types":        {Types: []string{""}},
		"tags":         {Tags: []string{"nocolon"}},
	} {
		var wrong *event.ArgumentError
		if err := s.Validate(); !errors.As(err, &wrong) || wrong.Argument != argument {
			t.Errorf("%+v: got %v, want an error about %q", s, err, argument)
		}
	}
}

func TestSelectionIsBounded(t *testing.T) {
	t.Parallel()
	names := func(n int) []string { return slices.Repeat([]string{"a:b"}, n) }
	items := func(n, types, tags int) event.Query {
		return slices.Repeat(event.Query{{Types: names(types), Tags: names(tags)}}, n)
	}
	for name, pair := range map[string][2]event.Selection{
		"types":            {{Types: names(event.MaxItemTypes)}, {Types: names(event.MaxItemTypes + 1)}},
		"tags":             {{Tags: names(event.MaxItemTags)}, {Tags: names(event.MaxItemTags + 1)}},
		"items":            {{Query: items(event.MaxItems, 1, 0)}, {Query: items(event.MaxItems+1, 0, 0)}},
		"types of an item": {{Query: items(1, event.MaxItemTypes, 0)}, {Query: items(1, event.MaxItemTypes+1, 0)}},
		"tags of an item":  {{Query: items(1, 0, event.MaxItemTags)}, {Query: items(1, 0, event.MaxItemTags+1)}},
		"all names":        {{Query: items(16, 128, 128)}, {Query: items(16, 128, 129)}},
	} {
		if err := pair[0].Validate(); err != nil {
			t.Errorf("%s, at the bound: %v", name, err)
		}
		var large *event.TooLargeError
		if err := pair[1].Validate(); !errors.As(err, &large) || large.Actual <= large.Limit {
			t.Errorf("%s, over the bound: %v", name, err)
		}
	}
	a := full()
	a.Conditions = []event.Condition{event.NoneMatch{Query: items(event.MaxItems+1, 1, 0)}}
	if err := a.Validate(); !errors.As(err, new(*event.TooLargeError)) {
		t.Errorf("a condition: %v", err)
	}
}

func TestAppendValidate(t *testing.T) {
	t.Parallel()
	with := func(change func(*event.Append)) event.Append {
		a := full()
		change(&a)
		return a
	}
	if a := full(); a.Validate() != nil {
		t.Fatal(a.Validate())
	}
	for name, a := range map[string]event.Append{
		"no events":        {Stream: "a-1"},
		"no stream":        with(func(a *event.Append) { a.Stream = "" }),
		"control in name":  with(func(a *event.Append) { a.Stream = "a\n-1" }),
		"invalid utf-8":    with(func(a *event.Append) { a.Stream = "a-\xff" }),
		"long stream":      with(func(a *event.Append) { a.Stream = string(make([]byte, 256)) }),
		"no type":          with(func(a *event.Append) { a.Events[0].Type = "" }),
		"tag without key":  with(func(a *event.Append) { a.Events[0].Tags = []string{":x"} }),
		"tag of no form":   with(func(a *event.Append) { a.Events[1].Tags = []string{"x"} }),
		"metadata":         with(func(a *event.Append) { a.Events[1].Metadata[0].Key = "\xff" }),
		"condition":        with(func(a *event.Append) { a.Conditions = []event.Condition{event.StreamAbsent{}} }),
		"empty query":      with(func(a *event.Append) { a.Conditions = []event.Condition{event.NoneMatch{}} }),
		"key with control": with(func(a *event.Append) { a.Key = "\x00" }),
	} {
		err := a.Validate()
		if !errors.As(err, new(*event.ArgumentError)) && !errors.As(err, new(*event.TooLargeError)) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
