package schema_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// What is right gives the tags that it gives when it is verified.
func TestSetTagsUnverified(t *testing.T) {
	t.Parallel()
	set := load(t, "bank.bfbs")
	data := opened{owner: "ada", labels: []string{"b", "a", "", "b"}}.build()
	got, err := set.AppendTagsUnverified([]string{"own:tag"}, openedType, 0, data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(set.AppendTags([]string{"own:tag"}, openedType, 0, data), got); diff != "" {
		t.Error(diff)
	}
	for name, data := range map[string][]byte{
		"nothing":            nil,
		"long tag":           opened{owner: strings.Repeat("x", 250)}.build(),
		"control characters": opened{owner: "a\nb"}.build(),
		"not UTF-8":          opened{owner: "a\xff"}.build(),
		"too many tags":      opened{owner: "a", labels: make([]string, 300)}.build(),
	} {
		tags, err := set.AppendTagsUnverified([]string{"own:tag"}, openedType, 0, data)
		if !errors.As(err, new(*verify.Error)) || len(tags) != 1 {
			t.Errorf("%s: %q, %v", name, tags, err)
		}
	}
	if tags, err := set.AppendTagsUnverified(nil, depositedType, 0, []byte("anything")); tags != nil || err != nil {
		t.Errorf("a type without tags: %q, %v", tags, err)
	}
	if _, err := set.AppendTagsUnverified(nil, openedType, 1, data); !errors.As(err, new(*schema.UnknownTypeError)) {
		t.Errorf("an unknown schema: %v", err)
	}
}

// Every single-byte mutant, with something else behind it in the same memory:
// no panic gets out, and no tag has a byte of the neighbour's.
func TestSetTagsUnverifiedMutants(t *testing.T) {
	t.Parallel()
	set := load(t, "bank.bfbs")
	data := opened{owner: "ada", labels: []string{"b", "a"}, nickname: "countess"}.build()
	const secret = "~~~~~~~~"
	memory := append(bytes.Clone(data), strings.Repeat(secret, 64)...)
	mutant := memory[:len(data)] // its capacity goes on
	accepted, refused := 0, 0
	for at := range data {
		for value := range 256 {
			mutant[at] = byte(value)
			tags, err := set.AppendTagsUnverified(nil, openedType, 0, mutant)
			if err != nil {
				refused++
				continue
			}
			accepted++
			for _, tag := range tags {
				if strings.Contains(tag, "~~") {
					t.Fatalf("byte %d = %d: tag %q has bytes from behind the data", at, value, tag)
				}
			}
		}
		mutant[at] = data[at]
	}
	if accepted == 0 || refused == 0 {
		t.Errorf("%d accepted, %d refused", accepted, refused)
	}
}

// A string that says it is longer than the data, in memory that goes on.
func TestSetTagsUnverifiedEndsWithItsBytes(t *testing.T) {
	t.Parallel()
	set := load(t, "bank.bfbs")
	memory := opened{owner: "ada-and-her-neighbour"}.build()
	owner := bytes.Index(memory, []byte("ada-and-her-neighbour"))
	tags, err := set.AppendTagsUnverified(nil, openedType, 0, memory[:owner+len("ada")])
	if !errors.As(err, new(*verify.Error)) {
		t.Errorf("%q, %v", tags, err)
	}
}
