package schema

import (
	"strings"
	"testing"
)

// Two schemas of one fingerprint cannot be made, only imagined.
func TestSetDetectsFingerprintCollision(t *testing.T) {
	t.Parallel()
	set, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if err := set.admit(&Schema{Fingerprint: 7, digest: [32]byte{1}, File: "one.fbs"}, true); err != nil {
		t.Fatal(err)
	}
	if err := set.admit(&Schema{Fingerprint: 7, digest: [32]byte{1}}, true); err != nil {
		t.Errorf("the same schema again: %v", err)
	}
	err = set.admit(&Schema{Fingerprint: 7, digest: [32]byte{2}}, true)
	if err == nil || !strings.Contains(err.Error(), "0000000000000007 already belongs to another schema") {
		t.Errorf("got %v", err)
	}
}
