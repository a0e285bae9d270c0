package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/compat"
	"github.com/verbatim-es/verbatim/wampbus/client"
)

// placeFlags say where events are: in a directory, or behind a bus.
type placeFlags struct {
	Place string `arg:"" name:"store" help:"A store's directory, or the URL of a bus: ws://, wss://, rs://, rss:// or unix://."`

	Realm  string `default:"verbatim" placeholder:"NAME" help:"The realm of the bus; ${default} when not given."`
	User   string `placeholder:"NAME" help:"Who to be at the bus; anonymous when not given."`
	Secret string `env:"ES_SECRET" placeholder:"TEXT" help:"The user's ticket or password. Better in the environment, as ES_SECRET: others see command lines."`
}

// place is an open store or a session with a bus.
type place struct {
	log interface {
		event.Log
		Subscribe(context.Context, event.Selection, event.SubscribeOptions) iter.Seq2[event.Event, error]
		Register(context.Context, []byte) ([]compat.Finding, error)
		Close() error
	}
	// schemas are those that are current, and all that learn was asked for.
	schemas *schema.Set
	bus     *client.Client // nil for a directory
}

// remote tells a bus from a directory.
func (f *placeFlags) remote() bool { return strings.Contains(f.Place, "://") }

// open opens the place. A directory must hold a store.
func (f *placeFlags) open(ctx context.Context, o eventstore.Options) (*place, error) {
	if f.remote() {
		return f.dial(ctx)
	}
	// Opening would make a store where there is none.
	if _, err := os.Stat(filepath.Join(f.Place, "log", "data.mdb")); err != nil {
		return nil, fmt.Errorf("%q is not an event store: %w", f.Place, err)
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
	o := client.Options{Realm: f.Realm, AuthID: f.User}
	if f.Secret != "" {
		o.Credentials = []client.Credential{client.Ticket(f.Secret), client.CRA(f.Secret)}
	}
	bus, err := client.Dial(ctx, f.Place, o)
	if err != nil {
		return nil, err
	}
	p := &place{log: bus, bus: bus}
	if err := p.fetch(ctx); err != nil {
		return nil, errors.Join(err, bus.Close())
	}
	return p, nil
}

// fetch asks the bus for its current schemas.
func (p *place) fetch(ctx context.Context) error {
	set, err := schema.Load()
	if err != nil {
		return err
	}
	types, err := p.bus.Schemas(ctx)
	if err != nil {
		return fmt.Errorf("ask for schemas: %w", err)
	}
	for _, t := range types {
		if _, ok := set.ByFingerprint(t.Fingerprint); ok {
			continue
		}
		s, err := p.ask(ctx, t.Fingerprint)
		if err == nil {
			err = set.Grow([]*schema.Schema{s}, nil)
		}
		if err != nil {
			return err
		}
	}
	p.schemas = set
	return nil
}

// ask returns the schema of that fingerprint from the bus, verified to be it.
func (p *place) ask(ctx context.Context, fingerprint uint64) (*schema.Schema, error) {
	bfbs, err := p.bus.SchemaByFingerprint(ctx, fingerprint)
	if err != nil {
		return nil, fmt.Errorf("ask for schema %016x: %w", fingerprint, err)
	}
	s, err := schema.Parse(bfbs)
	if err != nil {
		return nil, fmt.Errorf("schema %016x of the bus: %w", fingerprint, err)
	}
	if s.Fingerprint != fingerprint {
		return nil, fmt.Errorf("asked for schema %016x, the bus gave %016x", fingerprint, s.Fingerprint)
	}
	return s, nil
}

// learn makes the schema of that fingerprint known. A store's are.
func (p *place) learn(ctx context.Context, fingerprint uint64) error {
	if _, ok := p.schemas.ByFingerprint(fingerprint); ok || p.bus == nil {
		return nil
	}
	s, err := p.ask(ctx, fingerprint)
	if err != nil {
		return err
	}
	_, err = p.schemas.Remember(s.BFBS)
	return err
}
