package journal

import (
	"slices"
	"testing"
)

// TestNamesOfAKilledProcess kills a process at each step of making a journal.
// What the next one appends must survive a loss of power, whatever names the
// first one left without a sync.
func TestNamesOfAKilledProcess(t *testing.T) {
	t.Parallel()
	options := func(disk *simDisk) Options {
		return Options{Store: testStore, SegmentSize: 2 * blockSize, FS: disk}
	}
	const seeds = 20
	for step := seeds; ; step++ {
		after := step / seeds
		disk := newSimDisk(uint64(step), 512)
		disk.powerAfter = after
		if j, _, err := Open("j", options(disk)); err == nil {
			_ = j.Close()
			return // all steps were seen
		}
		disk.kill()
		j, _, err := Open("j", options(disk))
		if err != nil {
			t.Fatalf("killed at step %d: %v", after, err)
		}
		for position := range uint64(2) { // one for each segment
			if err := j.Append(position+1, [][]byte{{1}}); err != nil {
				t.Fatalf("killed at step %d: %v", after, err)
			}
		}
		disk.losePower()
		if _, r, err := Open("j", options(disk)); err != nil || r.Last != 2 {
			t.Errorf("killed at step %d, appended, lost power: %+v, %v", after, r, err)
		}
	}
}

// TestAnnouncedSegmentsAreThere loses power at each step of opening a journal
// with another size of segments, appending until it has grown, and growing.
// Whatever was announced last must be there.
func TestAnnouncedSegmentsAreThere(t *testing.T) {
	t.Parallel()
	const seeds = 20
	for step := seeds; ; step++ {
		disk := newSimDisk(uint64(step), 512)
		var announced []int
		options := Options{Store: testStore, SegmentSize: 2 * blockSize, Segments: 3, FS: disk,
			Announce: func(segments []int) error {
				announced = slices.Clone(segments)
				return nil
			}}
		grown := func(o Options) bool {
			j, _, err := Open("j", o)
			if err != nil {
				return false
			}
			for position := range uint64(2) { // one for each segment
				if j.Append(position+1, [][]byte{{1}}) != nil {
					return false
				}
			}
			if made, err := j.Grow(); !made || err != nil {
				return false
			}
			return j.Recycle(2) == nil && j.Close() == nil
		}
		if !grown(options) || len(announced) != 3 {
			t.Fatalf("announced: %v", announced)
		}
		disk.powerAfter = step / seeds
		options.SegmentSize, options.Folded = 3*blockSize, 2
		j, _, err := Open("j", options)
		if err == nil {
			_, err = j.Grow()
		}
		over := err == nil
		disk.losePower()
		there, err := Segments(disk, "j")
		if err != nil {
			t.Fatal(err)
		}
		for _, number := range announced {
			if !slices.Contains(there, number) {
				t.Fatalf("no power at step %d: %v were announced, %v are there", step/seeds, announced, there)
			}
		}
		if over {
			return // all steps were seen
		}
	}
}
