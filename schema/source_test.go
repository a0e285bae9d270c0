package schema_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/flat"
)

func TestSourceIsStale(t *testing.T) {
	t.Parallel()
	bank := parse(t, "bank.bfbs")
	sound := schema.Source{Name: "bank.fbs", BFBS: bank.BFBS, API: schema.API, Fingerprint: bank.Fingerprint}
	for name, c := range map[string]struct {
		change func(*schema.Source)
		says   string
	}{
		"a generator's to come":  {func(s *schema.Source) { s.API = schema.API + 999 }, "API 1000 of the generator"},
		"a newer generator's":    {func(s *schema.Source) { s.API = schema.API + 1 }, fmt.Sprintf("this module has API %d", schema.API)},
		"beside another's bytes": {func(s *schema.Source) { s.BFBS = testdata(t, "bank2.bfbs") }, fmt.Sprintf("from the schema %016x", bank.Fingerprint)},
	} {
		source := sound
		c.change(&source)
		_, err := schema.Load(schema.Sources{source})
		if !errors.As(err, new(*schema.StaleError)) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "go tool es generate bank.fbs") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, source := range []schema.Source{sound, {Name: sound.Name, BFBS: sound.BFBS}} {
		if parsed, err := source.Parse(); err != nil || !parsed.Equal(bank) {
			t.Errorf("API %d: %v", source.API, err)
		}
	}
}

// The compiler's handshake and that at opening are one.
func TestAPIIsTheCompilers(t *testing.T) {
	t.Parallel()
	const compiled = flat.GeneratedForAPI1ElseRunEsGenerate
	if schema.API != 1 || !compiled {
		t.Errorf("schema.API is %d, and package flat declares the constant of another", schema.API)
	}
}
