package journal

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// Segments returns the numbers of the segments in dir, ascending, whatever they
// hold; none when there is no such directory. A nil FS is [Disk].
func Segments(fs FS, dir string) (numbers []int, err error) {
	if fs == nil {
		fs = Disk{}
	}
	names, err := fs.List(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for _, name := range names {
		if number, ok := segmentNumber(name); ok {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, err
}

// SegmentName is the name of the file of the segment with that number.
func SegmentName(number int) string { return fmt.Sprintf("%06d%s", number, segmentSuffix) }
