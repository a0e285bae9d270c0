package schema_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/verbatim-es/verbatim/schema"
)

// Stores hold fingerprints for ever.
func TestFingerprintStays(t *testing.T) {
	t.Parallel()
	if got := parse(t, "bank.bfbs").Fingerprint; got != 0x7a82d0724074452e {
		t.Errorf("fingerprint %#016x: events of existing stores would no longer find their schema", got)
	}
}

func TestFingerprintIgnoresComments(t *testing.T) {
	t.Parallel()
	commented, plain := parse(t, "bank.bfbs"), parse(t, "bank_plain.bfbs")
	if bytes.Equal(commented.BFBS, plain.BFBS) || len(table(t, plain, openedType).Fields[0].Doc) > 0 {
		t.Fatal("the schemas differ in nothing")
	}
	if commented.Fingerprint != plain.Fingerprint {
		t.Errorf("with comments %016x, without %016x", commented.Fingerprint, plain.Fingerprint)
	}
	set := load(t, "bank_plain.bfbs")
	if _, err := set.Add(commented.BFBS); err != nil {
		t.Fatal(err)
	}
	if kept, _ := set.ByFingerprint(plain.Fingerprint); !bytes.Equal(kept.BFBS, plain.BFBS) || len(set.Schemas()) != 1 {
		t.Error("the same schema with other comments is another one")
	}
}

// The pairs of the compatibility rules differ in every way there is.
func TestFingerprintTellsSchemasApart(t *testing.T) {
	t.Parallel()
	pairs, err := filepath.Glob("compat/testdata/pairs/*/old.bfbs")
	if err != nil || len(pairs) < 80 {
		t.Fatalf("%d pairs, %v", len(pairs), err)
	}
	for _, old := range pairs {
		dir := filepath.Dir(old)
		before, after := parseFile(t, old), parseFile(t, filepath.Join(dir, "new.bfbs"))
		if before.Fingerprint == after.Fingerprint && !bytes.Equal(before.BFBS, after.BFBS) {
			t.Errorf("%s: both have fingerprint %016x", filepath.Base(dir), before.Fingerprint)
		}
	}
}

func parseFile(t *testing.T, name string) *schema.Schema {
	t.Helper()
	bfbs, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := schema.Parse(bfbs)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}
