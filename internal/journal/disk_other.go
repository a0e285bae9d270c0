//go:build !linux

package journal

import "os"

// diskFile is a file. Its Sync is [os.File.Sync], the strongest barrier that
// the system has.
type diskFile struct{ *os.File }

func (Disk) open(name string, flags int) (File, error) {
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}
