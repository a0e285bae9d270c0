package eventstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/internal/registry"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/compat"
)

// Schemas are all schemas that the store knows. Only [Store.Register] may add
// to them.
func (s *Store) Schemas() *schema.Set { return s.registry.Set() }

// Register takes a schema, given as the .bfbs that flatc made of it, while the
// store is open; [Options].Schemas are registered in the same way. The bytes
// may come from anybody. When Register returns without an error the schema is
// durable, and current for the types that it declares: appends that name no
// schema are taken for data of it. Registering a schema that the store knows
// changes nothing, also when it is an old version of one that is current.
//
// A schema that is not compatible with the versions that the store has of it,
// as [Options].Compatibility asks, is a [*compat.IncompatibleError]; its
// findings, with Against counting these versions from the oldest, are returned
// too. Bytes that are no schema are an [*event.InvalidDataError], what can't be
// in one store with other schemas an [*event.ArgumentError], more than
// [Options].MaxSchemas and MaxSchemaBytes allow an [*event.TooLargeError]. Nothing is
// registered then. After an [*event.UnavailableError] that is an
// [event.ErrOutcomeUnknown], the schema may be there when the store is opened
// again.
func (s *Store) Register(ctx context.Context, bfbs []byte) ([]compat.Finding, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.isClosing() {
		return nil, errClosed()
	}
	if s.watcher != nil {
		return nil, errReadOnly()
	}
	if failed := s.committer.failed.Load(); failed != nil {
		return nil, failed
	}
	err := s.registry.Register(schema.Source{BFBS: bfbs})
	var broken *compat.IncompatibleError
	if errors.As(err, &broken) {
		return broken.Findings, err
	}
	var unknown *lmdbenv.CommitError
	switch {
	case errors.As(err, &unknown):
		s.committer.readOnly("a schema could not be kept", err)
		return nil, &event.UnavailableError{
			Message: "a schema could not be kept: the store is read-only until it is opened again", Unknown: true, Cause: err,
		}
	case lmdbenv.IsNoSpace(err):
		return nil, &event.UnavailableError{Message: "no space for the schema", Cause: err}
	}
	return nil, closedError(err)
}

// openRegistry returns the registry of the schemas that the log keeps, with the
// sources in it. New ones go to keep.
func (l *eventLog) openRegistry(sources schema.Sources, rules registry.Rules, keep func([]*schema.Schema) error) (*registry.Registry, error) {
	if _, err := schema.Load(sources); err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	kept, err := l.keptSchemas()
	if err != nil {
		return nil, err
	}
	r, err := registry.New(rules, keep, kept)
	if err != nil {
		return nil, err
	}
	return r, r.Register(sources...)
}

// keptSchemas returns the schemas in the order in which they became current.
func (l *eventLog) keptSchemas() (kept [][]byte, err error) {
	err = l.env.View(func(txn *lmdbenv.Txn) error {
		c, err := txn.OpenCursor(l.schemas)
		if err != nil {
			return err
		}
		defer c.Close()
		for {
			_, bfbs, err := c.Get(nil, nil, lmdbenv.Next)
			if lmdbenv.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return err
			}
			kept = append(kept, bytes.Clone(bfbs))
		}
	})
	return kept, err
}

// keepSchemas adds schemas behind those that are kept, under their ordinals.
func (l *eventLog) keepSchemas(added []*schema.Schema) error {
	return l.env.Update(func(txn *lmdbenv.Txn) error {
		ordinal, err := l.lastSchema(txn)
		for _, s := range added {
			if err != nil {
				return err
			}
			ordinal++
			err = txn.Put(l.schemas, binary.BigEndian.AppendUint64(nil, ordinal), s.BFBS, lmdbenv.Append)
		}
		return err
	})
}

func (l *eventLog) lastSchema(txn *lmdbenv.Txn) (ordinal uint64, err error) {
	c, err := txn.OpenCursor(l.schemas)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	key, _, err := c.Get(nil, nil, lmdbenv.Last)
	switch {
	case lmdbenv.IsNotFound(err):
		return 0, nil
	case err != nil:
		return 0, err
	case len(key) != 8:
		return 0, fmt.Errorf("kept schema: a key of %d bytes instead of 8", len(key))
	}
	return binary.BigEndian.Uint64(key), nil
}
