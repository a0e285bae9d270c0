package eventstore

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/schema"
)

// Opening compares the generator's API number with the module's, and the binary
// schema with the one that the code is from.
func TestOpenRefusesStaleCode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func(schemas schema.Sources, readOnly bool) error {
		s, err := Open(dir, Options{Schemas: schemas, MapSize: 1 << 30, ReadOnly: readOnly})
		if err != nil {
			return err
		}
		return s.Close()
	}
	if err := open(account.Schema, false); err != nil {
		t.Fatal(err)
	}
	old, other := slices.Clone(account.Schema), slices.Clone(account.Schema)
	old[0].API = 1000
	other[0].Fingerprint++
	for name, schemas := range map[string]schema.Sources{"another API": old, "another schema": other} {
		_, inMemory := memstore.New(schemas)
		for how, err := range map[string]error{
			"open":           open(schemas, false),
			"open read-only": open(schemas, true),
			"in memory":      inMemory,
		} {
			if !errors.As(err, new(*schema.StaleError)) || !strings.Contains(err.Error(), "go tool es generate bank.fbs") {
				t.Errorf("%s, %s: %v", name, how, err)
			}
		}
	}
}
