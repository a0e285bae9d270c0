package journal

import (
	"errors"
	"os"
	"strings"
)

// Exists reports whether there is a segment in dir, whatever it holds. A nil FS
// is [Disk].
func Exists(fs FS, dir string) (bool, error) {
	if fs == nil {
		fs = Disk{}
	}
	names, err := fs.List(dir)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	for _, name := range names {
		if strings.HasSuffix(name, segmentSuffix) {
			return true, nil
		}
	}
	return false, err
}
