package wampbus

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
)

// maxWait is the longest wait_ms.
const maxWait = 60 * time.Second

// info tells a client what it talks to.
func (b *Bus) info(ctx context.Context, in *invocation) (answer, error) {
	if err := in.end(); err != nil {
		return answer{}, err
	}
	head, err := b.options.Log.Head(ctx)
	if err != nil {
		return answer{}, err
	}
	return answer{kwargs: wamp.Dict{
		"protocol":      1,
		"record_format": 1,
		"flatbuffers":   flatbuffersVersion,
		"store":         head.Store.String(),
		"max_record":    event.MaxRecord,
		"max_page":      b.limits.Page,
		"roles":         in.roles.Names(),
	}}, nil
}

func (b *Bus) head(ctx context.Context, in *invocation) (answer, error) {
	if err := in.end(); err != nil {
		return answer{}, err
	}
	head, err := b.options.Log.Head(ctx)
	if err != nil {
		return answer{}, err
	}
	return answer{kwargs: wamp.Dict{
		"store": head.Store.String(), "position": head.Position, "id": head.ID.String(), "first": head.First,
	}}, nil
}

// read answers one page, as stored. It reads only when the answer has room in
// the caller's queue.
func (b *Bus) read(ctx context.Context, in *invocation) (answer, error) {
	selection, page, named, err := readArguments(in.arguments, min(b.limits.Page, in.party.page()))
	if err != nil {
		return answer{}, err
	}
	if named && page.Store == (event.ID{}) { // no store has it
		head, err := b.options.Log.Head(ctx)
		if err != nil {
			return answer{}, err
		}
		return answer{}, &event.StoreChangedError{Store: head.Store}
	}
	ctx, stop := in.waiting(ctx)
	defer stop()
	if page.Wait > 0 { // room that is set aside while nothing comes would hold up other calls
		first := page
		first.MaxBytes = 1
		p, err := b.options.Log.ReadPage(ctx, selection, first)
		if err != nil {
			return answer{}, in.orShutdown(err)
		}
		if p.Count == 0 {
			return pageAnswer(p), nil
		}
		page.Wait = 0
	}
	if err := in.party.reserve(ctx, in.call, page.MaxBytes); err != nil {
		return answer{}, in.orShutdown(err)
	}
	buffer := pages.Get().(*[]byte)
	page.Buffer = *buffer
	p, err := b.options.Log.ReadPage(ctx, selection, page)
	if err != nil {
		pages.Put(buffer)
		return answer{}, in.orShutdown(err)
	}
	a := pageAnswer(p)
	if n := cap(p.Records); n > 0 && n <= maxPooled {
		*buffer = p.Records[:0]
		a.spent = func() { pages.Put(buffer) }
	}
	return a, nil
}

// pages are memory for pages that clients have got. A remote log does not use it.
var pages = sync.Pool{New: func() any { return new(make([]byte, 0, event.DefaultPageBytes)) }}

// maxPooled keeps one huge page from holding its memory.
const maxPooled = 2 << 20

func pageAnswer(p event.Page) answer {
	return answer{
		args: wamp.List{p.Records},
		kwargs: wamp.Dict{
			"store": p.Store.String(), "count": p.Count, "last": p.Last, "head": p.Head, "more": p.More,
		},
	}
}

// readArguments reads the arguments of es.read. Whether one names a store is
// told apart: the log takes the zero ULID for none.
func readArguments(a *arguments, maxPage int) (s event.Selection, o event.PageOptions, named bool, err error) {
	starts := 0
	for _, start := range []string{"after", "after_id", "since", "from_version"} {
		if a.has(start) {
			starts++
		}
	}
	s = event.Selection{
		After:       a.number("after"),
		AfterID:     a.id("after_id"),
		Since:       a.instant("since"),
		FromVersion: a.number("from_version"),
		Stream:      a.text("stream"),
		Category:    a.text("category"),
		Types:       a.texts("types"),
		Tags:        a.texts("tags"),
		Query:       a.query("query"),
		Backward:    a.flag("backward"),
		Limit:       a.count("limit", math.MaxInt32),
	}
	o = event.PageOptions{
		MaxBytes: a.count("max_bytes", maxNumber),
		Wait:     a.milliseconds("wait_ms", 0, maxWait),
	}
	if store, ok := a.take("store"); ok {
		id, err := asID("store", store)
		a.keep(err)
		o.Store, named = id, true
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = event.DefaultPageBytes
	}
	o.MaxBytes = min(o.MaxBytes, maxPage)
	if starts > 1 {
		a.fail("after", "give one start: after, after_id, since or from_version")
	}
	if o.Wait > 0 && s.Backward {
		a.fail("wait_ms", "goes forward only")
	}
	if err := a.end(); err != nil {
		return s, o, named, err
	}
	return s, o, named, s.Validate()
}
