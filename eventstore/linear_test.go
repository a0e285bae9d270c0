package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

const linearStreams, linearKeys = 3, 4

// linearState is all that the operations of a history can tell of a store.
type linearState struct {
	head     uint64
	versions [linearStreams]uint64
	last     [linearStreams]uint64 // position of the last event, which is tagged with its stream
	keys     [linearKeys]uint64    // first position of the append with that key
}

type linearOp int

const (
	opAppend linearOp = iota // unconditionally
	opAt                     // on condition that the stream is at a version
	opNone                   // on condition that nothing after a position has the stream's tag
	opKey                    // with a key; it decides the stream
	opRead                   // the last event of a stream
)

type linearInput struct {
	op     linearOp
	stream int
	events int
	key    int
	value  uint64 // of the condition
}

type linearOutput struct {
	conflict, repeated bool
	// first and version are of the receipt, and of what a read found; a read's
	// head is first.
	first, version uint64
	actual         uint64 // what the conflict found: a version
}

// linearModel says which operations can follow one another.
var linearModel = porcupine.Model{
	Init: func() any { return linearState{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(linearState), input.(linearInput), output.(linearOutput)
		holds := true
		switch in.op {
		case opRead:
			return out.first == s.head && out.version == s.versions[in.stream], s
		case opAt:
			holds = s.versions[in.stream] == in.value
		case opNone:
			holds = s.last[in.stream] <= in.value
		case opKey:
			if first := s.keys[in.key]; first != 0 {
				return out.repeated && out.first == first, s
			}
			s.keys[in.key] = s.head + 1
		}
		if !holds {
			return out.conflict && (in.op != opAt || out.actual == s.versions[in.stream]), s
		}
		first := s.head + 1
		s.head += uint64(in.events)
		s.versions[in.stream] += uint64(in.events)
		s.last[in.stream] = s.head
		return !out.conflict && !out.repeated && out.first == first && out.version == s.versions[in.stream], s
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v %+v", input, output) },
}

// TestLinearizable races appenders and readers, and has a checker look for one
// order of what they did, within the times at which they did it, that explains
// everything they were told.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	for range 20 {
		history := recordHistory(t, rand.Uint64())
		switch result, _ := porcupine.CheckOperationsVerbose(linearModel, history, time.Minute); result {
		case porcupine.Illegal:
			t.Fatalf("no order explains what %d operations were told", len(history))
		case porcupine.Unknown:
			t.Fatal("no order was found in a minute")
		}
	}
}

func recordHistory(t *testing.T, seed uint64) (history []porcupine.Operation) {
	t.Helper()
	const clients, operations = 5, 30
	store := open(t, t.TempDir())
	var mu sync.Mutex
	var running sync.WaitGroup
	start := time.Now()
	for client := range clients {
		random := rand.New(rand.NewPCG(seed, uint64(client)))
		running.Go(func() {
			var seen linearState
			for range operations {
				in := linearDraw(random, &seen)
				call := time.Since(start)
				out, err := linearDo(t.Context(), store, in, &seen)
				if err != nil {
					t.Errorf("seed %d: %+v: %v", seed, in, err)
					return
				}
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: client, Input: in, Call: call.Nanoseconds(), Output: out, Return: time.Since(start).Nanoseconds()})
				mu.Unlock()
			}
		})
	}
	running.Wait()
	return history
}

// linearDraw draws an operation whose condition may hold, by what the client has
// seen.
func linearDraw(random *rand.Rand, seen *linearState) linearInput {
	in := linearInput{op: linearOp(random.IntN(int(opRead) + 1)), stream: random.IntN(linearStreams), events: 1 + random.IntN(3)}
	switch in.op {
	case opAt:
		in.value = seen.versions[in.stream]
	case opNone:
		in.value = seen.head
	case opKey:
		in.key = random.IntN(linearKeys)
		in.stream, in.events = in.key%linearStreams, 1+in.key%2
	}
	return in
}

func linearDo(ctx context.Context, store *eventstore.Store, in linearInput, seen *linearState) (out linearOutput, err error) {
	stream := fmt.Sprintf("ledger-%d", in.stream)
	if in.op == opRead {
		page, err := store.ReadPage(ctx, event.Selection{Stream: stream, Backward: true, Limit: 1}, event.PageOptions{})
		for e := range page.Events() {
			out.version = e.Version()
		}
		out.first = page.Head
		seen.head, seen.versions[in.stream] = out.first, out.version
		return out, err
	}
	a := event.Append{Stream: stream}
	for range in.events {
		a.Events = append(a.Events, eventstoretest.Noted(stream, 1))
	}
	switch in.op {
	case opAt:
		a.Conditions = []event.Condition{event.StreamAt{Stream: stream, Version: in.value}}
	case opNone:
		a.Conditions = []event.Condition{event.NoneMatch{Query: event.Query{{Tags: []string{"text:" + stream}}}, After: in.value}}
	case opKey:
		a.Key = fmt.Sprintf("key-%d", in.key)
	}
	receipt, err := store.Append(ctx, a)
	if conflict := (*event.ConflictError)(nil); errors.As(err, &conflict) {
		return linearOutput{conflict: true, actual: conflict.Actual}, nil
	}
	if err == nil {
		seen.head, seen.versions[in.stream] = receipt.Last, receipt.Version
	}
	return linearOutput{repeated: receipt.Repeated, first: receipt.First, version: receipt.Version}, err
}

// TestCheckerRefusesWrongHistories has the checker look at histories that no
// correct store gives, and at almost the same ones that are right.
func TestCheckerRefusesWrongHistories(t *testing.T) {
	t.Parallel()
	type step struct {
		call, end int64
		in        linearInput
		out       linearOutput
	}
	add := func(call, end int64, first uint64) step {
		return step{call, end, linearInput{op: opAppend, events: 1}, linearOutput{first: first, version: first}}
	}
	at := func(call, end int64, value uint64, out linearOutput) step {
		return step{call, end, linearInput{op: opAt, events: 1, value: value}, out}
	}
	read := func(call, end int64, head uint64) step {
		return step{call, end, linearInput{op: opRead}, linearOutput{first: head, version: head}}
	}
	key := func(call, end int64, out linearOutput) step {
		return step{call, end, linearInput{op: opKey, events: 1}, out}
	}
	none := func(call, end int64, after uint64, out linearOutput) step {
		return step{call, end, linearInput{op: opNone, events: 1, value: after}, out}
	}
	for name, test := range map[string]struct {
		steps []step
		want  porcupine.CheckResult
	}{
		"read while appending, before": {[]step{add(0, 10, 1), read(5, 9, 0)}, porcupine.Ok},
		"read while appending, after":  {[]step{add(0, 10, 1), read(5, 9, 1)}, porcupine.Ok},
		"stale read":                   {[]step{add(0, 10, 1), read(11, 12, 0)}, porcupine.Illegal},
		"visible, and gone again":      {[]step{add(0, 20, 1), read(5, 9, 1), read(10, 12, 0)}, porcupine.Illegal},
		"two winners":                  {[]step{at(0, 10, 0, linearOutput{first: 1, version: 1}), at(5, 12, 0, linearOutput{first: 2, version: 2})}, porcupine.Illegal},
		"one winner":                   {[]step{at(0, 10, 0, linearOutput{first: 1, version: 1}), at(5, 12, 0, linearOutput{conflict: true, actual: 1})}, porcupine.Ok},
		"conflict for nothing":         {[]step{at(0, 10, 0, linearOutput{conflict: true})}, porcupine.Illegal},
		"same position twice":          {[]step{add(0, 10, 1), add(5, 12, 1)}, porcupine.Illegal},
		"a position left out":          {[]step{add(0, 10, 1), add(11, 12, 3)}, porcupine.Illegal},
		"order against time":           {[]step{add(0, 10, 2), add(11, 12, 1)}, porcupine.Illegal},
		"key repeated":                 {[]step{key(0, 10, linearOutput{first: 1, version: 1}), key(5, 12, linearOutput{first: 1, repeated: true})}, porcupine.Ok},
		"key appended twice":           {[]step{key(0, 10, linearOutput{first: 1, version: 1}), key(11, 12, linearOutput{first: 2, version: 2})}, porcupine.Illegal},
		"a match passed over":          {[]step{add(0, 10, 1), none(11, 12, 0, linearOutput{first: 2, version: 2})}, porcupine.Illegal},
		"a match before the position":  {[]step{add(0, 10, 1), none(11, 12, 1, linearOutput{first: 2, version: 2})}, porcupine.Ok},
	} {
		var history []porcupine.Operation
		for i, s := range test.steps {
			history = append(history, porcupine.Operation{ClientId: i, Input: s.in, Call: s.call, Output: s.out, Return: s.end})
		}
		if got, _ := porcupine.CheckOperationsVerbose(linearModel, history, time.Minute); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
