package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/compat"
	"github.com/verbatim-es/verbatim/wampbus/client"
)

// placeFlags say where events are: in a directory, or behind a bus.
type placeFlags struct {
	Place string `arg:"" name:"store" help:"A store's directory, or the URL of a bus: ws://, wss://, rs:// or tcp://, rss:// or tcps://, or unix://."`

	Realm  string `default:"verbatim" placeholder:"NAME" help:"The realm of the bus; ${default} when not given."`
	User   string `placeholder:"NAME" help:"Who to be at the bus; anonymous when not given."`
	Secret string `env:"ES_SECRET" placeholder:"TEXT" help:"The user's ticket or password. Better in the environment, as ES_SECRET: others see command lines."`
	Method string `default:"ticket" enum:"ticket,wampcra" placeholder:"NAME" help:"How the user logs in: ticket, which shows the secret to the bus, or wampcra, which does not; ${default} when not given."`
}

// place is an open store or a session with a bus.
type place struct {
	log interface {
		event.Log
		Subscribe(context.Context, event.Selection, event.SubscribeOptions) iter.Seq2[event.Event, error]
		Register(context.Context, []byte) ([]compat.Finding, error)
		Close() error
	}
	// schemas are those of the store; of a bus, those that are current there and
	// all that learn was asked for, current for no type.
	schemas *schema.Set

	// Of a bus; a directory has none.
	bus        *client.Client
	current    map[string]uint64 // fingerprints by type
	unreadable map[uint64]error  // why schemas of the bus are of no use
}

// remote tells a bus from a directory.
func (f *placeFlags) remote() bool { return strings.Contains(f.Place, "://") }

// open opens the place. A directory must hold a store.
func (f *placeFlags) open(ctx context.Context, o eventstore.Options) (*place, error) {
	if f.remote() {
		return f.dial(ctx)
	}
	// Opening would make a store where there is none.
	if _, err := eventstore.Describe(f.Place); errors.Is(err, eventstore.ErrNotStore) {
		return nil, fmt.Errorf("%w, or the URL of a bus, like ws://localhost:8080", err)
	}
	store, err := eventstore.Open(f.Place, o)
	if errors.Is(err, eventstore.ErrInUse) {
		return nil, fmt.Errorf("%w: give the URL of its bus, or end the process that has it open", err)
	}
	if err != nil {
		return nil, err
	}
	return &place{log: store, schemas: store.Schemas()}, nil
}

func (f *placeFlags) dial(ctx context.Context) (*place, error) {
	switch {
	case f.User != "" && f.Secret == "":
		return nil, fmt.Errorf("--user: %q needs a secret, as ES_SECRET in the environment or with --secret", f.User)
	case f.User == "" && f.Secret != "":
		return nil, errors.New("--user: whose secret is in ES_SECRET or --secret?")
	}
	// Nothing generated reads what comes; what is shown is verified for that.
	o := client.Options{Realm: f.Realm, AuthID: f.User, Unverified: true}
	if f.User != "" {
		prove := client.Ticket
		if f.Method == "wampcra" {
			prove = client.CRA
		}
		o.Credentials = []client.Credential{prove(f.Secret)}
	}
	bus, err := client.Dial(ctx, f.Place, o)
	if refused := (*client.Error)(nil); errors.As(err, &refused) && refused.URI == "wamp.error.authentication_failed" && f.User != "" {
		return nil, fmt.Errorf("%w: is it the user's secret, and does the user log in by %s? --method chooses", err, f.Method)
	}
	if err != nil {
		return nil, err
	}
	p := &place{log: bus, bus: bus}
	if err := p.fetch(ctx); err != nil {
		return nil, errors.Join(err, bus.Close())
	}
	return p, nil
}

// fetch asks the bus for its current schemas. Which one is current for a type is
// what the bus says: their order does not tell. A schema that is of no use is
// missed where it is needed.
func (p *place) fetch(ctx context.Context) error {
	set, err := schema.Load()
	if err != nil {
		return err
	}
	types, err := p.bus.Schemas(ctx)
	if err != nil {
		return fmt.Errorf("ask for schemas: %w", err)
	}
	p.schemas, p.current, p.unreadable = set, make(map[string]uint64), make(map[uint64]error)
	for _, t := range types {
		p.current[t.Type] = t.Fingerprint
		if err := p.learn(ctx, t.Fingerprint); err != nil && p.unreadable[t.Fingerprint] == nil {
			return err
		}
	}
	return nil
}

// currentOf returns the fingerprint of the schema that is current for a type,
// which is known then.
func (p *place) currentOf(typ string) (uint64, error) {
	fingerprint, ok := p.current[typ]
	if p.bus == nil {
		_, fingerprint, ok = p.schemas.Lookup(typ)
	}
	if !ok {
		return 0, fmt.Errorf("no schema declares %q: %s", typ, p.insteadOf(typ))
	}
	return fingerprint, p.unreadable[fingerprint]
}

// insteadOf says what to do about a type that there is not: most often its
// namespace is missing, or a capital.
func (p *place) insteadOf(typ string) string {
	own := func(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }
	for _, s := range p.schemas.Schemas() {
		for _, t := range s.Tables {
			if t.Role == schema.RoleEvent && strings.EqualFold(own(t.Name), own(typ)) {
				return fmt.Sprintf("did you mean %q?", t.Name)
			}
		}
	}
	return "register one that does, es schema register"
}

// eventOf returns what [place.currentOf] does for a type that is to be appended.
func (p *place) eventOf(stream, typ string) (uint64, error) {
	fingerprint, err := p.currentOf(typ)
	if err != nil {
		if _, swapped := p.currentOf(stream); swapped == nil {
			return 0, fmt.Errorf("%q is a type: the stream comes before it, es append STORE STREAM TYPE", stream)
		}
		return 0, err
	}
	s, _ := p.schemas.ByFingerprint(fingerprint)
	if t, ok := s.Table(typ); ok && t.Role != schema.RoleEvent {
		return 0, fmt.Errorf("%q is no event, and only events are appended: its schema says %q", typ, t.Role)
	}
	return fingerprint, nil
}

// learn makes the schema of that fingerprint known. A store's are. What the bus
// gives is verified to be that schema; it is asked once for one that is not.
func (p *place) learn(ctx context.Context, fingerprint uint64) error {
	if _, ok := p.schemas.ByFingerprint(fingerprint); ok || p.bus == nil {
		return nil
	}
	if err := p.unreadable[fingerprint]; err != nil {
		return err
	}
	bfbs, err := p.bus.SchemaByFingerprint(ctx, fingerprint)
	if err != nil {
		return fmt.Errorf("ask for schema %016x: %w", fingerprint, err)
	}
	s, err := schema.Parse(bfbs)
	if err == nil && s.Fingerprint != fingerprint {
		err = fmt.Errorf("it is %016x", s.Fingerprint)
	}
	if err == nil {
		_, err = p.schemas.Remember(s.BFBS)
	}
	if err != nil {
		err = fmt.Errorf("schema %016x of the bus: %w", fingerprint, err)
		p.unreadable[fingerprint] = err
	}
	return err
}
