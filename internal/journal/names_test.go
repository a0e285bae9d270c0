package journal

import "testing"

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
