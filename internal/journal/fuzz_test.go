package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var updateSeeds = flag.Bool("update-seeds", false, "write the seeds of FuzzRecover")

// FuzzRecover opens a journal of arbitrary segments, see unpack. reseal sets the checksums
// as the bytes are, so that what is behind them is reached. Whatever Open
// accepts are dense frames with right checksums, and it can be gone on with.
func FuzzRecover(f *testing.F) {
	f.Fuzz(func(t *testing.T, first, second []byte, folded uint64, reseal bool) {
		disk := newSimDisk(1, 512)
		var before []byte
		for i, packed := range [][]byte{first, second} {
			data := unpack(packed)
			if reseal {
				resealSegment(data)
			}
			before = append(before, data...)
			name := segmentName(testDir, i+1)
			disk.seen[name] = &simFile{seen: data, stable: bytes.Clone(data)}
			disk.stable[name] = disk.seen[name]
		}
		o := Options{Store: testStore, Folded: folded, SegmentSize: 4 * blockSize, Segments: 4, FS: disk}
		j, r, err := Open(testDir, o)
		if err != nil {
			return
		}
		payloads, err := unfolded(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(payloads) != r.Frames || r.Frames > 0 && (r.First > folded+1 || r.Last <= folded) {
			t.Fatalf("%d payloads with the log at %d, %+v", len(payloads), folded, r)
		}
		for _, p := range payloads {
			if !bytes.Contains(before, p) {
				t.Fatalf("payload of %d bytes is not in the files", len(p))
			}
		}
		last := max(folded, r.Last)
		if last+1 >= 1<<63 {
			return
		}
		if _, err := j.Grow(); err != nil {
			t.Fatal(err)
		}
		want := []byte("the next one")
		if err := errors.Join(j.Recycle(last), j.Append(last+1, [][]byte{want})); err != nil {
			t.Fatal(err)
		}
		o.Folded = last
		if got, r := recoverFrom(t, disk, o); len(got) != 1 || !bytes.Equal(got[0], want) || r.First != last+1 {
			t.Fatalf("recovered %d frames, %+v", len(got), r)
		}
	})
}

// unpack makes a segment of at most 8 blocks. Of each block, packed holds how
// many bytes come before the zeros at its end, as 2 bytes, and these bytes.
func unpack(packed []byte) []byte {
	var data []byte
	for len(packed) >= 2 && len(data) < 8*blockSize {
		n := min(int(binary.LittleEndian.Uint16(packed)), len(packed)-2, blockSize)
		data = append(data, packed[2:2+n]...)
		data = append(data, make([]byte, blockSize-n)...)
		packed = packed[2+n:]
	}
	return data
}

// pack is the reverse of unpack.
func pack(data []byte) []byte {
	var packed []byte
	for block := range slices.Chunk(data, blockSize) {
		block = bytes.TrimRight(block, "\x00")
		packed = binary.LittleEndian.AppendUint16(packed, uint16(len(block)))
		packed = append(packed, block...)
	}
	return packed
}

// resealSegment sets the checksums of a segment and of its frames, and their
// chain.
func resealSegment(data []byte) {
	if len(data) < blockSize {
		return
	}
	le := binary.LittleEndian
	chain := crc32.Checksum(data[8:segmentHeaderSize], castagnoli)
	le.PutUint32(data[4:], chain)
	for at := blockSize; at+blockSize <= len(data); {
		frame := data[at:]
		h := parseFrameHeader(frame)
		if !h.plausible(int64(at), int64(len(data))) {
			return
		}
		le.PutUint32(frame[48:], chain)
		chain = crc32.Checksum(frame[8:frameHeaderSize+int(h.length)], castagnoli)
		le.PutUint32(frame[4:], chain)
		at += int(h.blocks())
	}
}

// TestSeeds checks that the seeds of FuzzRecover are journals of the present
// format; with -update-seeds it writes them.
func TestSeeds(t *testing.T) {
	t.Parallel()
	for name, s := range seeds(t) {
		want := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n[]byte(%q)\nuint64(%d)\nbool(%v)\n", pack(s.first), pack(s.second), s.folded, s.reseal)
		path := filepath.Join("testdata", "fuzz", "FuzzRecover", name)
		if *updateSeeds {
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(want), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not what the present format gives: if that is wanted, run with -update-seeds", path)
		}
	}
}

type seed struct {
	first, second []byte
	folded        uint64
	reseal        bool
}

// seeds are journals in the states that recovery tells apart.
func seeds(t *testing.T) map[string]seed {
	t.Helper()
	generation := uint64(0)
	disk := newSimDisk(1, 512)
	j := mustOpen(t, Options{Store: testStore, SegmentSize: 3 * blockSize, FS: disk, generation: func() uint64 { generation++; return generation }})
	snapshot := func(folded uint64) seed {
		names := disk.segmentsIn()
		return seed{bytes.Clone(disk.seen[names[0]].seen), bytes.Clone(disk.seen[names[1]].seen), folded, false}
	}
	all := map[string]seed{"new": snapshot(0)}
	for i := range uint64(5) {
		if err := j.Append(2*i+1, [][]byte{[]byte("some event"), []byte("another")}); err != nil {
			t.Fatal(err)
		}
		switch i {
		case 0:
			all["one-frame"] = snapshot(0)
		case 3:
			all["two-segments"] = snapshot(0)
			all["two-segments-folded"] = snapshot(6)
			torn := snapshot(0)
			torn.second[2*blockSize+100] ^= 1
			torn.second[2*blockSize+60] ^= 1
			all["torn"] = torn
			damaged := snapshot(0)
			damaged.first[blockSize+60] ^= 1
			all["damaged"] = damaged
			resealed := snapshot(0)
			resealed.first[blockSize+60] ^= 1
			resealed.reseal = true
			all["resealed"] = resealed
			header := snapshot(0)
			header.second[20] ^= 1
			all["damaged-header"] = header
			if err := j.Recycle(8); err != nil {
				t.Fatal(err)
			}
		case 4:
			all["reused"] = snapshot(8)
			if err := errors.Join(j.Recycle(10), j.Close()); err != nil {
				t.Fatal(err)
			}
			all["closed"] = snapshot(10)
		}
	}
	return all
}
