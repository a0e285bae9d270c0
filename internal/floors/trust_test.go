package floors

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What leads in from outside never says that data is to be trusted: not the bus
// and its clients, not the tool, and not what takes up a dump.
func TestNoEntranceTrustsData(t *testing.T) {
	t.Parallel()
	read := 0
	for _, dir := range []string{"../../wampbus", "../../cmd", "../../eventstore", "../../internal/registry"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			read++
			for _, mark := range []string{"TrustData", "TrustEvents"} {
				if bytes.Contains(text, []byte(mark)) {
					t.Errorf("%s speaks of %s: that is for producers in the program of the store", path, mark)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if read < 100 {
		t.Errorf("%d files were read", read)
	}
}
