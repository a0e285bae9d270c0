package eventstore

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/schema"
)

// loadSchemas returns the set of all schemas that the log keeps, in the order
// in which they became current, with the sources on top. What is new is kept;
// an older one that is current again is kept once more, behind the others.
func (l *eventLog) loadSchemas(sources schema.Sources) (*schema.Set, error) {
	if _, err := schema.Load(sources); err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	set, err := schema.Load()
	if err != nil {
		return nil, err
	}
	ordinal, err := l.keptSchemas(set)
	if err != nil {
		return nil, err
	}
	for _, source := range sources {
		parsed, err := schema.Parse(source.BFBS)
		if err != nil {
			return nil, err
		}
		if isCurrent(set, parsed) {
			continue
		}
		if _, err := set.Add(source.BFBS); err != nil {
			return nil, fmt.Errorf("%s: %w", source.Name, err)
		}
		ordinal++
		if err := l.keepSchema(ordinal, source.BFBS); err != nil {
			return nil, fmt.Errorf("keep schema %s: %w", source.Name, err)
		}
	}
	return set, nil
}

func (l *eventLog) keptSchemas(set *schema.Set) (ordinal uint64, err error) {
	err = l.env.View(func(txn *lmdbenv.Txn) error {
		c, err := txn.OpenCursor(l.schemas)
		if err != nil {
			return err
		}
		defer c.Close()
		for {
			key, bfbs, err := c.Get(nil, nil, lmdbenv.Next)
			if lmdbenv.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return err
			}
			if len(key) != 8 {
				return fmt.Errorf("kept schema: a key of %d bytes instead of 8", len(key))
			}
			ordinal = binary.BigEndian.Uint64(key)
			if _, err := set.Add(bytes.Clone(bfbs)); err != nil {
				return fmt.Errorf("kept schema %d: %w", ordinal, err)
			}
		}
	})
	return ordinal, err
}

func (l *eventLog) keepSchema(ordinal uint64, bfbs []byte) error {
	return l.env.Update(func(txn *lmdbenv.Txn) error {
		return txn.Put(l.schemas, binary.BigEndian.AppendUint64(nil, ordinal), bfbs, lmdbenv.Append)
	})
}

// isCurrent reports whether all types of a schema are current in this form.
func isCurrent(set *schema.Set, s *schema.Schema) bool {
	if _, ok := set.ByFingerprint(s.Fingerprint); !ok {
		return false
	}
	for _, t := range s.Tables {
		if _, fingerprint, ok := set.Lookup(t.Name); !ok || fingerprint != s.Fingerprint {
			return false
		}
	}
	return true
}
