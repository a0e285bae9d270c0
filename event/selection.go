package event

import (
	"slices"
	"strings"
	"time"
)

// Query selects events across streams: those that match any of its items.
// It has the shape of the DCB specification.
type Query []Item

// Item matches an event of any of its types that carries all of its tags. An
// empty list does not restrict; an item with neither matches every event.
type Item struct {
	// Types are full type names; one that ends in '.' is a prefix.
	Types []string
	Tags  []string
}

// Matches reports whether the event matches any item.
func (q Query) Matches(e Event) bool {
	return slices.ContainsFunc(q, func(i Item) bool { return i.matches(e) })
}

// Bounds of a query; types and tags given without one count as an item. Each
// name is a list to be read, and may be looked at for every event.
const (
	// MaxItems is the most items a query may have.
	MaxItems = 256
	// MaxItemTypes and MaxItemTags are the most types and tags of one item.
	MaxItemTypes, MaxItemTags = 256, 256
	// MaxQueryNames is the most types and tags that all items may have together.
	MaxQueryNames = 4096
)

func bounded(bound string, actual, limit int) error {
	if actual > limit {
		return &TooLargeError{Bound: bound, Limit: uint64(limit), Actual: uint64(actual)}
	}
	return nil
}

func (i Item) bounded() error {
	if err := bounded("types to select", len(i.Types), MaxItemTypes); err != nil {
		return err
	}
	return bounded("tags to select", len(i.Tags), MaxItemTags)
}

func (q Query) validate() error {
	if len(q) == 0 {
		return &ArgumentError{Argument: "query", Message: "a query needs at least one item"}
	}
	if err := bounded("items of a query", len(q), MaxItems); err != nil {
		return err
	}
	names := 0
	for _, item := range q {
		if err := item.bounded(); err != nil {
			return err
		}
		names += len(item.Types) + len(item.Tags)
	}
	if err := bounded("types and tags of a query", names, MaxQueryNames); err != nil {
		return err
	}
	for _, item := range q {
		if slices.Contains(item.Types, "") {
			return &ArgumentError{Argument: "query", Message: "a type must not be empty"}
		}
		for _, tag := range item.Tags {
			if err := checkTag(tag); err != nil {
				return err
			}
		}
	}
	return nil
}

func (i Item) matches(e Event) bool {
	if len(i.Types) > 0 && !matchesType(i.Types, e.Type()) {
		return false
	}
	for _, tag := range i.Tags {
		if !e.HasTag(tag) {
			return false
		}
	}
	return true
}

func matchesType(types []string, name string) bool {
	for _, t := range types {
		if t == name || strings.HasSuffix(t, ".") && strings.HasPrefix(name, t) {
			return true
		}
	}
	return false
}

// Selection says which events to read, and from where. Its zero value is the
// whole log, oldest first.
//
// At most one start (After, AfterID, Since, FromVersion) and at most one filter
// (Stream, Category, Types, Tags, Query) may be given; a query of one item
// filters by types and tags together.
type Selection struct {
	// After starts behind this position; backwards, below it, and 0 then
	// means from the head.
	After uint64
	// AfterID starts behind the event with this id, or where it would be.
	AfterID ID
	// Since starts at the first event recorded at or after this instant.
	Since time.Time
	// FromVersion starts at this version of Stream.
	FromVersion uint64

	// Stream selects one stream.
	Stream string
	// Category selects all streams of a category.
	Category string
	// Types selects any of these types; one that ends in '.' is a prefix.
	Types []string
	// Tags selects the events that carry all of these.
	Tags []string
	// Query selects by types and tags together.
	Query Query

	// Backward reads newest first.
	Backward bool
	// Limit is the largest number of events; 0 means no limit.
	Limit int
}

// Validate reports what is wrong with the selection as an [*ArgumentError], or
// as a [*TooLargeError] when it names too much.
func (s *Selection) Validate() error {
	starts := count(s.After != 0, !s.AfterID.IsZero(), !s.Since.IsZero(), s.FromVersion != 0)
	filters := count(s.Stream != "", s.Category != "", len(s.Types) > 0, len(s.Tags) > 0, len(s.Query) > 0)
	switch {
	case starts > 1:
		return &ArgumentError{Argument: "after", Message: "give one start: after, after_id, since or from_version"}
	case filters > 1:
		return &ArgumentError{Argument: "query", Message: "give one filter: stream, category, types, tags or query"}
	case s.FromVersion != 0 && s.Stream == "":
		return &ArgumentError{Argument: "from_version", Message: "needs a stream"}
	case s.Backward && (!s.Since.IsZero() || s.FromVersion != 0):
		return &ArgumentError{Argument: "backward", Message: "starts at a position or an id"}
	case s.Limit < 0:
		return &ArgumentError{Argument: "limit", Message: "must not be negative"}
	case slices.Contains(s.Types, ""):
		return &ArgumentError{Argument: "types", Message: "a type must not be empty"}
	}
	if err := (Item{Types: s.Types, Tags: s.Tags}).bounded(); err != nil {
		return err
	}
	for _, tag := range s.Tags {
		if err := checkTag(tag); err != nil {
			return err
		}
	}
	if len(s.Query) > 0 {
		return s.Query.validate()
	}
	return nil
}

// Matches reports whether the event passes the selection's filter. Start and
// limit are the reader's business.
func (s *Selection) Matches(e Event) bool {
	switch {
	case s.Stream != "":
		return e.Stream() == s.Stream
	case s.Category != "":
		return e.Category() == s.Category
	case len(s.Query) > 0:
		return s.Query.Matches(e)
	default:
		return Item{Types: s.Types, Tags: s.Tags}.matches(e)
	}
}

// Unfiltered reports whether every event matches.
func (s *Selection) Unfiltered() bool {
	return s.Stream == "" && s.Category == "" && len(s.Types) == 0 && len(s.Tags) == 0 && len(s.Query) == 0
}

// from returns the selection that continues behind position after.
func (s Selection) from(after uint64) Selection {
	s.After, s.AfterID, s.Since, s.FromVersion = after, ID{}, time.Time{}, 0
	return s
}

func count(conditions ...bool) (n int) {
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}
