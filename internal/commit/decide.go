package commit

import (
	"time"

	"github.com/verbatim-es/verbatim/event"
)

// State is the end of the log as the committer knows it: its head, and what
// happened in (Base, head]. It does not change while [Decide] looks at it.
type State interface {
	// Head returns the position and id of the last event, zero if none.
	Head() (position uint64, id event.ID)
	// Base is the position above which State knows everything.
	Base() uint64
	// Version returns the version of a stream that has an event above both after
	// and Base.
	Version(stream string, after uint64) (version uint64, ok bool)
	// Match returns the position of the first event above both after and
	// Base that matches, 0 if none does.
	Match(q event.Query, after uint64) uint64
	// Earlier returns the last append above both after and Base that used the key,
	// nil if none. It is not ok when there is one of which no more is known.
	Earlier(key string, after uint64) (earlier *Earlier, ok bool)
}

// Batch is what one commit makes durable.
type Batch struct {
	// Events are sealed, in position order, whole appends only.
	Events []event.Event
	// Outcomes holds one outcome for each proposal, in order. They are true
	// once the events are durable.
	Outcomes []Outcome
	// Conflicts and Repeats count outcomes of these kinds.
	Conflicts, Repeats int
	// ClockBehind is true when the clock was behind the last id's time.
	ClockBehind bool
}

// Outcome is what became of a proposal.
type Outcome struct {
	Receipt event.Receipt
	// Err is an [*event.ConflictError] or an [*event.KeyReusedError], and Reused
	// the append that the latter is about.
	Err    error
	Reused *Earlier
	// Stale is true when State does not reach back to the proposal's facts, or
	// does not know enough of the append that used its key since: nothing was
	// decided, find them again.
	Stale bool
}

// Decide decides the proposals in order, each on the state that those before it
// leave behind. It is a pure function of its arguments, but for sealing the
// records of what it accepts, in place.
//
// A key is looked up before the conditions: a repeated append gets the receipt
// of the first one, whatever happened since.
func Decide(state State, proposals []*Proposal, now time.Time, entropy Entropy) Batch {
	d := decider{
		state:    state,
		now:      now,
		entropy:  entropy,
		versions: make(map[string]uint64, len(proposals)),
	}
	d.position, d.id = state.Head()
	d.batch.Outcomes = make([]Outcome, 0, len(proposals))
	events := 0
	for _, p := range proposals {
		events += len(p.Events)
	}
	d.batch.Events = make([]event.Event, 0, events)
	d.batch.ClockBehind = d.position > 0 && millis(now) < d.id.Time()
	for _, p := range proposals {
		d.batch.Outcomes = append(d.batch.Outcomes, d.decide(p))
	}
	return d.batch
}

// decider is the state with the batch so far on top of it.
type decider struct {
	state    State
	now      time.Time
	entropy  Entropy
	batch    Batch
	position uint64
	id       event.ID
	versions map[string]uint64
	keys     map[string]*Earlier
	accepted accepted
}

func (d *decider) decide(p *Proposal) Outcome {
	if p.Facts.At < d.state.Base() {
		return Outcome{Stale: true}
	}
	if p.Key != "" {
		earlier, ok := d.earlier(p)
		if earlier != nil {
			return d.repeat(p, earlier)
		}
		if !ok || p.Facts.Earlier != nil {
			return Outcome{Stale: true} // it was known, and nothing else was looked for
		}
	}
	for i, c := range p.Conditions {
		if conflict := d.check(p, i, c); conflict != nil {
			d.batch.Conflicts++
			return Outcome{Err: conflict}
		}
	}
	return d.accept(p)
}

// earlier returns the last append that used the key, nil if none did or the key
// is not known any more. It is not ok when the proposer has to look for it.
func (d *decider) earlier(p *Proposal) (earlier *Earlier, ok bool) {
	if earlier = d.keys[p.Key]; earlier == nil {
		if earlier, ok = d.state.Earlier(p.Key, p.Facts.At); !ok {
			return nil, false
		}
	}
	if earlier == nil {
		earlier = p.Facts.Earlier
	}
	if earlier == nil || !earlier.Known(d.id, p.retention) {
		return nil, true
	}
	return earlier, true
}

func (d *decider) repeat(p *Proposal, earlier *Earlier) Outcome {
	if earlier.Content != p.Content {
		return Outcome{Err: &event.KeyReusedError{Key: p.Key, Position: earlier.Receipt.First}, Reused: earlier}
	}
	d.batch.Repeats++
	return Outcome{Receipt: earlier.again()}
}

// check returns the conflict of condition i, nil if it holds.
func (d *decider) check(p *Proposal, i int, c event.Condition) error {
	if c, ok := c.(event.NoneMatch); ok {
		if position := d.match(p, i, c); position != 0 {
			return &event.ConflictError{Index: i, Condition: c, Position: position}
		}
		return nil
	}
	stream, _ := streamOf(c)
	version := d.version(p, stream)
	holds := false
	switch c := c.(type) {
	case event.StreamAt:
		holds = version == c.Version
	case event.StreamAbsent:
		holds = version == 0
	case event.StreamPresent:
		holds = version != 0
	}
	if holds {
		return nil
	}
	return &event.ConflictError{Index: i, Condition: c, Actual: version}
}

func (d *decider) match(p *Proposal, i int, c event.NoneMatch) uint64 {
	if i < len(p.Facts.Matches) && p.Facts.Matches[i] != 0 {
		return p.Facts.Matches[i]
	}
	if position := d.state.Match(c.Query, max(c.After, p.Facts.At)); position != 0 {
		return position
	}
	d.accepted.grow(d.batch.Events)
	return d.accepted.match(c.Query, c.After)
}

func (d *decider) version(p *Proposal, stream string) uint64 {
	if version, ok := d.versions[stream]; ok {
		return version
	}
	if version, ok := d.state.Version(stream, p.Facts.At); ok {
		return version
	}
	return p.factOf(stream)
}

func (d *decider) accept(p *Proposal) Outcome {
	receipt := event.Receipt{First: d.position + 1, IDs: make([]event.ID, len(p.Events))}
	single := true
	for i, e := range p.Events {
		stream := e.Stream()
		version := d.version(p, stream) + 1
		d.versions[stream] = version
		d.position++
		d.id = nextID(d.id, d.now, d.entropy)
		event.Seal(e.Record(), d.id, d.position, version)
		receipt.IDs[i], receipt.Version = d.id, version
		single = single && stream == p.Events[0].Stream()
	}
	receipt.Last = d.position
	if !single {
		receipt.Version = 0
	}
	d.batch.Events = append(d.batch.Events, p.Events...)
	if p.Key != "" {
		if d.keys == nil {
			d.keys = make(map[string]*Earlier)
		}
		d.keys[p.Key] = &Earlier{Receipt: receipt, Content: p.Content, schemas: schemasOf(p.Events)}
	}
	return Outcome{Receipt: receipt}
}
