//go:build cgo && (linux || darwin)

package lmdbenv

import "syscall"

// freeSpace returns how many bytes are left for this user on the disk of a
// directory.
func freeSpace(dir string) (int64, bool) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil || disk.Blocks == 0 {
		return 0, false // some systems of files have no size
	}
	free := disk.Bavail * uint64(disk.Bsize)
	return int64(min(free, 1<<62)), true
}
