package schema_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"
	"github.com/google/go-cmp/cmp"

	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/flat"
	"github.com/verbatim-es/verbatim/schema/verify"
)

func source(t testing.TB, name string) schema.Sources {
	t.Helper()
	return schema.Sources{{Name: strings.Replace(name, ".bfbs", ".fbs", 1), BFBS: testdata(t, name)}}
}

func load(t testing.TB, names ...string) *schema.Set {
	t.Helper()
	var sources schema.Sources
	for _, name := range names {
		sources = append(sources, source(t, name)...)
	}
	set, err := schema.Load(sources)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

const (
	openedType    = "bank.account.Opened"
	depositedType = "bank.account.MoneyDeposited"
)

// opened builds a bank.account.Opened.
type opened struct {
	owner    string
	branch   uint32
	channel  byte
	labels   []string
	limit    *int64
	divorced bool // not joint, whose default is true
	nickname string
}

func (o opened) build() []byte {
	b := flat.Get()
	owner, nickname := b.CreateString(o.owner), b.CreateString(o.nickname)
	labels := make([]flatbuffers.UOffsetT, len(o.labels))
	for i, label := range o.labels {
		labels[i] = b.CreateSharedString(label)
	}
	vector := b.CreateVectorOfTables(labels)
	b.StartObject(10)
	b.PrependUOffsetTSlot(0, owner, 0)
	b.PrependUint32Slot(1, o.branch, 0)
	b.PrependByteSlot(2, o.channel, 0)
	if len(labels) > 0 {
		b.PrependUOffsetTSlot(3, vector, 0)
	}
	if o.limit != nil {
		b.PrependInt64(*o.limit)
		b.Slot(4)
	}
	b.PrependBoolSlot(5, !o.divorced, true)
	if o.nickname != "" {
		b.PrependUOffsetTSlot(6, nickname, 0)
	}
	return flat.Finish(b, b.EndObject())
}

// deposited builds a bank.account.MoneyDeposited of bank2.fbs.
func deposited(currency string) []byte {
	b := flat.Get()
	c := b.CreateString(currency)
	b.StartObject(2)
	b.PrependInt64Slot(0, 100, 0)
	if currency != "" {
		b.PrependUOffsetTSlot(1, c, 0)
	}
	return flat.Finish(b, b.EndObject())
}

func TestSetTypes(t *testing.T) {
	t.Parallel()
	set := load(t, "bank.bfbs", "several.bfbs", "bank.bfbs")
	var names []string
	for _, table := range set.Types() {
		names = append(names, table.Name)
	}
	want := []string{
		"bank.account.Account", "bank.account.Balance", "bank.account.Deposit", depositedType,
		"bank.account.Open", openedType, "bank.account.Part",
		"several.Change", "several.Changed", "several.Other",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	if len(set.Schemas()) != 2 {
		t.Errorf("%d schemas", len(set.Schemas()))
	}
}

func TestSetLookup(t *testing.T) {
	t.Parallel()
	set := load(t, "bank.bfbs")
	table, fingerprint, ok := set.Lookup(openedType)
	if !ok || table.Name != openedType || fingerprint != parse(t, "bank.bfbs").Fingerprint {
		t.Errorf("Lookup: %v %016x %v", table, fingerprint, ok)
	}
	if s, ok := set.ByFingerprint(fingerprint); !ok || s.File != "bank.fbs" {
		t.Errorf("ByFingerprint: %v %v", s, ok)
	}
	if _, _, ok := set.Lookup("bank.account.Nothing"); ok {
		t.Error("an unknown type was found")
	}
	if _, ok := set.ByFingerprint(1); ok {
		t.Error("an unknown fingerprint was found")
	}
}

func TestSetUnknownType(t *testing.T) {
	t.Parallel()
	set := load(t, "bank.bfbs")
	_, bank, _ := set.Lookup(openedType)
	for _, c := range []schema.UnknownTypeError{
		{Type: "bank.account.Nothing"},
		{Type: openedType, Fingerprint: 1},
		{Type: "bank.account.Nothing", Fingerprint: bank},
	} {
		err := set.Verify(c.Type, c.Fingerprint, opened{owner: "ada"}.build())
		var unknown *schema.UnknownTypeError
		if !errors.As(err, &unknown) || *unknown != c || !strings.Contains(err.Error(), c.Type) {
			t.Errorf("Verify(%q, %x): %v", c.Type, c.Fingerprint, err)
		}
		if tags := set.AppendTags([]string{"a:b"}, c.Type, c.Fingerprint, nil); len(tags) != 1 {
			t.Errorf("AppendTags: %v", tags)
		}
	}
}

func TestSetVerify(t *testing.T) {
	t.Parallel()
	set := load(t, "bank.bfbs")
	if err := set.Verify(openedType, 0, opened{owner: "ada", labels: []string{"a", "b"}}.build()); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		data []byte
		path string
		says string
	}{
		"nothing":            {nil, "", "too few"},
		"another type":       {deposited("EUR"), "owner", ""},
		"long tag":           {opened{owner: strings.Repeat("x", 250)}.build(), "owner", "256 bytes"},
		"control characters": {opened{owner: "a\nb"}.build(), "owner", "control characters"},
		"long tag in vector": {opened{owner: "a", labels: []string{"b", strings.Repeat("x", 250)}}.build(), "labels[1]", "256 bytes"},
		"too many tags":      {opened{owner: "a", labels: make([]string, 300)}.build(), "labels", "at most 256"},
	} {
		err := set.Verify(openedType, 0, c.data)
		var invalid *verify.Error
		if !errors.As(err, &invalid) || invalid.Path != c.path || !strings.Contains(invalid.Message, c.says) {
			t.Errorf("%s: %#v", name, err)
		}
	}
}

func TestSetTags(t *testing.T) {
	t.Parallel()
	set := load(t, "bank.bfbs")
	limit := int64(-5)
	for name, c := range map[string]struct {
		data []byte
		want []string
	}{
		"defaults": {opened{owner: "ada"}.build(), []string{"owner:ada", "branch:0", "channel:0", "joint:true"}},
		"everything": {
			opened{"ada", 1 << 31, 1, []string{"b", "a", "", "b"}, &limit, true, "countess"}.build(),
			[]string{"owner:ada", "branch:2147483648", "channel:1", "label:b", "label:a", "limit:-5", "joint:false", "nickname:countess"},
		},
	} {
		if err := set.Verify(openedType, 0, c.data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got := set.AppendTags([]string{"own:tag", "owner:ada"}, openedType, 0, c.data)
		if diff := cmp.Diff(append([]string{"own:tag"}, c.want...), got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if tags := set.AppendTags(nil, depositedType, 0, deposited("")); tags != nil {
		t.Errorf("tags of a type that declares none: %v", tags)
	}
}

func TestSetAdd(t *testing.T) {
	t.Parallel()
	set := load(t, "bank.bfbs")
	_, before, _ := set.Lookup(depositedType)
	newer := deposited("EUR")
	if err := set.Verify(depositedType, 0, newer); err == nil || !strings.Contains(err.Error(), "register the newer schema") {
		t.Fatalf("data of a newer schema under the older one's fingerprint: %v", err)
	}
	added, err := set.Add(testdata(t, "bank2.bfbs"))
	if err != nil {
		t.Fatal(err)
	}
	if _, now, _ := set.Lookup(depositedType); now != added.Fingerprint || now == before {
		t.Errorf("current is %016x, want %016x", now, added.Fingerprint)
	}
	if _, now, _ := set.Lookup(openedType); now != before {
		t.Error("a type that the newer schema does not declare is no longer that of the older")
	}
	if _, _, ok := set.Lookup("bank.account.Closed"); !ok {
		t.Error("the new type is unknown")
	}
	if err := set.Verify(depositedType, 0, newer); err != nil {
		t.Error(err)
	}
	if err := set.Verify(depositedType, before, newer); err == nil {
		t.Error("data of a newer schema was accepted under the older fingerprint")
	}
	if err := set.Verify(depositedType, before, deposited("")); err != nil {
		t.Errorf("data of the older schema: %v", err)
	}
	if diff := cmp.Diff([]string{"currency:EUR"}, set.AppendTags(nil, depositedType, 0, newer)); diff != "" {
		t.Error(diff)
	}
}

func TestSetRemember(t *testing.T) {
	t.Parallel()
	set := load(t, "bank2.bfbs")
	_, current, _ := set.Lookup(depositedType)
	old, err := set.Remember(testdata(t, "bank.bfbs"))
	if err != nil {
		t.Fatal(err)
	}
	if _, now, _ := set.Lookup(depositedType); now != current {
		t.Error("remembering changed what is current")
	}
	if _, _, ok := set.Lookup(openedType); ok {
		t.Error("remembering made a type current")
	}
	if err := set.Verify(openedType, old.Fingerprint, opened{owner: "ada"}.build()); err != nil {
		t.Error(err)
	}
}

func TestSetRefusesMeetings(t *testing.T) {
	t.Parallel()
	set := load(t, "bank.bfbs")
	if _, err := set.Add(testdata(t, "rival.bfbs")); err == nil || !strings.Contains(err.Error(), "same wire name") {
		t.Errorf("Add: %v", err)
	}
	if _, _, ok := set.Lookup("rival.Rival"); ok || len(set.Schemas()) != 1 {
		t.Error("the refused schema left something behind")
	}
	if _, err := schema.Load(source(t, "bank.bfbs"), source(t, "rival.bfbs")); err == nil || !strings.Contains(err.Error(), "rival.fbs: ") {
		t.Errorf("Load: %v", err)
	}
	if _, err := schema.Load(source(t, "bank.bfbs"), source(t, "bank2.bfbs")); err == nil || !strings.Contains(err.Error(), "declared in bank.fbs already") {
		t.Errorf("Load of two versions: %v", err)
	}
	if _, err := schema.Load(source(t, "wrong.bfbs")); err == nil || !strings.Contains(err.Error(), "wrong.fbs: schema: 38 things") {
		t.Errorf("Load of a wrong schema: %v", err)
	}
}

func TestSetGrowsUnderReaders(t *testing.T) {
	t.Parallel()
	set := load(t, "bank.bfbs")
	data := opened{owner: "ada"}.build()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if err := set.Verify(openedType, 0, data); err != nil {
					t.Error(err)
				}
				set.AppendTags(nil, openedType, 0, data)
				set.Types()
			}
		})
	}
	for _, name := range []string{"bank2.bfbs", "several.bfbs"} {
		wg.Go(func() {
			if _, err := set.Add(testdata(t, name)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(set.Schemas()) != 3 {
		t.Errorf("%d schemas", len(set.Schemas()))
	}
}

func ExampleSet() {
	set, err := schema.Load() // generated packages export Schema to pass here
	if err != nil {
		panic(err)
	}
	err = set.Verify("bank.account.Opened", 0, nil)
	fmt.Println(err)
	// Output: no schema declares type "bank.account.Opened": register the schema that does
}
