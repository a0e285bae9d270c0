package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkAppend is one appender. Compare with BenchmarkDisk in the same run.
func BenchmarkAppend(b *testing.B) {
	for _, fs := range []Disk{{}, {Cached: true}} {
		for _, size := range []int{256, 440, 28 << 10} {
			b.Run(fmt.Sprintf("%s/%d", kind(fs), size), func(b *testing.B) {
				j, _, err := Open(b.TempDir(), Options{Store: testStore, FS: fs})
				if err != nil {
					b.Fatal(err)
				}
				records := [][]byte{make([]byte, size)}
				b.ReportAllocs()
				for next := uint64(1); b.Loop(); next++ {
					if err := j.Append(next, records); err != nil {
						b.Fatal(err)
					}
					if err := j.Recycle(next); err != nil {
						b.Fatal(err)
					}
				}
				if err := j.Close(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

func kind(fs Disk) string {
	if fs.Cached {
		return "cached"
	}
	return "direct"
}

// BenchmarkDisk is the limit: writes to a file that was filled with zeros, each
// with its fdatasync. step is from one to the next; 496 is a frame that is only
// aligned to 8 bytes.
func BenchmarkDisk(b *testing.B) {
	for _, test := range []struct {
		name       string
		fs         Disk
		size, step int
	}{
		{"direct/4096", Disk{}, 4096, 4096},
		{"cached/4096", Disk{Cached: true}, 4096, 4096},
		{"cached/496", Disk{Cached: true}, 496, 496},
	} {
		b.Run(test.name, func(b *testing.B) {
			const size = 64 << 20
			name := filepath.Join(b.TempDir(), "zeros")
			if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
				b.Fatal(err)
			}
			f, err := test.fs.Open(name)
			if err != nil {
				b.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
			data := alignedBuffer(test.size)
			for i := range data {
				data[i] = byte(i)
			}
			at := 0
			for b.Loop() {
				if at+test.size > size {
					at = 0
				}
				if err := writeAt(f, data, int64(at)); err != nil {
					b.Fatal(err)
				}
				if err := f.Sync(); err != nil {
					b.Fatal(err)
				}
				at += test.step
			}
			if err := f.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkCreate makes a segment of the default size.
func BenchmarkCreate(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		s, err := createSegment(Disk{}, dir, 1, segmentHeader{size: DefaultSegmentSize})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.file.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
