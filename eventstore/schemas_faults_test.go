package eventstore

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/PowerDNS/lmdb-go/lmdb"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/internal/registry"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/compat"
)

// A schema that may be on the disk or not is visible to nobody, and nothing is
// stored on top of it.
func TestSchemaWhoseCommitFailed(t *testing.T) {
	t.Parallel()
	bank, err := os.ReadFile("testdata/bank/earlier.bfbs")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		err      error
		unknown  bool
		readOnly bool
	}{
		"no space":      {&lmdb.OpError{Op: "mdb_txn_commit", Errno: syscall.ENOSPC}, false, false},
		"failed commit": {&lmdbenv.CommitError{Err: syscall.EIO}, true, true},
		"closed":        {lmdbenv.ErrClosed, false, false},
	} {
		store, err := Open(t.TempDir(), Options{Schemas: eventstoretest.Schema})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		tries := 0
		once := func([]*schema.Schema) error {
			if tries++; tries == 1 {
				return c.err
			}
			return nil
		}
		store.registry, err = registry.New(registry.Rules{Mode: compat.FullTransitive}, once, [][]byte{eventstoretest.Schema[0].BFBS})
		if err != nil {
			t.Fatal(err)
		}
		_, err = store.Register(t.Context(), bank)
		if !errors.Is(err, event.ErrUnavailable) || errors.Is(err, event.ErrOutcomeUnknown) != c.unknown {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, ok := store.Schemas().Lookup("bank.account.Opened"); ok {
			t.Errorf("%s: the schema is visible", name)
		}
		_, err = store.Append(t.Context(), event.Append{Stream: "ledger-1", Events: []event.Proposed{eventstoretest.Struck(1)}})
		if errors.Is(err, event.ErrUnavailable) != c.readOnly {
			t.Errorf("%s: an append afterwards: %v", name, err)
		}
		_, err = store.Register(t.Context(), bank)
		if errors.Is(err, event.ErrUnavailable) != c.readOnly || c.readOnly && tries > 1 {
			t.Errorf("%s: the schema again: %v", name, err)
		}
	}
}
