//go:build unix

package main

import (
	"io/fs"
	"syscall"
)

// blocks is how many bytes of disk a file takes.
func blocks(info fs.FileInfo) int64 { return info.Sys().(*syscall.Stat_t).Blocks * 512 }
