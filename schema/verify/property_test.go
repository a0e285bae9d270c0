package verify

import (
	"fmt"
	"strings"
	"testing"
)

// surviving returns what reading accepted data panicked with, nil for nothing.
func surviving(s specimen, data []byte) (panicked any) {
	defer func() { panicked = recover() }()
	s.walk(data)
	return nil
}

func TestCorpusIsAcceptedAndReadable(t *testing.T) {
	t.Parallel()
	for _, s := range corpus(t) {
		if err := s.verify(s.plan(t), s.data); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		if sum := s.walk(s.data); sum == 0 {
			t.Errorf("%s: the walker read nothing", s.name)
		}
	}
}

// TestMutantsAreRefusedOrReadable is the promise of the package, over every
// buffer that differs from the corpus in one byte.
func TestMutantsAreRefusedOrReadable(t *testing.T) {
	t.Parallel()
	for _, s := range corpus(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			plan := s.plan(t)
			data := append([]byte(nil), s.data...)
			accepted, refused := 0, 0
			for i := range data {
				for _, b := range replacements(len(data), s.data[i]) {
					data[i] = b
					if s.verify(plan, data) != nil {
						refused++
						continue
					}
					accepted++
					if p := surviving(s, data); p != nil {
						t.Fatalf("byte %d = %#02x was accepted, but reading panics: %v", i, b, p)
					}
				}
				data[i] = s.data[i]
			}
			if accepted == 0 || refused == 0 {
				t.Errorf("%d accepted, %d refused: one kind is missing", accepted, refused)
			}
			for n := range len(data) {
				short := s.data[:n:n]
				if s.verify(plan, short) == nil {
					if p := surviving(s, short); p != nil {
						t.Fatalf("the first %d bytes were accepted, but reading panics: %v", n, p)
					}
				}
			}
		})
	}
}

// replacements are the other values of a byte: all of them, or one bit each in
// a large buffer and under the race detector.
func replacements(size int, b byte) []byte {
	var others []byte
	if size > 1024 || testing.Short() || raceEnabled {
		for bit := range 8 {
			others = append(others, b^1<<bit)
		}
		return append(others, 0, 0xff)
	}
	for other := range 256 {
		if byte(other) != b {
			others = append(others, byte(other))
		}
	}
	return others
}

// FuzzVerify looks for accepted buffers that cannot be read. The first byte
// chooses the schema.
func FuzzVerify(f *testing.F) {
	specimens := corpus(f)
	plans := make([]*Plan, len(specimens))
	for i, s := range specimens {
		plans[i] = s.plan(f)
		f.Add(append([]byte{byte(i)}, s.data...))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) == 0 {
			return
		}
		i := int(input[0]) % len(specimens)
		data := input[1:]
		if specimens[i].verify(plans[i], data) != nil {
			return
		}
		if p := surviving(specimens[i], data); p != nil {
			t.Fatalf("%s: accepted, but reading panics: %v", specimens[i].name, p)
		}
	})
}

// FuzzOpen looks for binary schemas that are accepted, but cannot be compiled
// or read.
func FuzzOpen(f *testing.F) {
	for _, name := range []string{"older.bfbs", "newer.bfbs", "shapes.bfbs"} {
		f.Add(testdata(f, name))
	}
	f.Fuzz(func(t *testing.T, bfbs []byte) {
		openAndUse(bfbs)
	})
}

func openAndUse(bfbs []byte) bool {
	binary, err := Open(bfbs)
	if err != nil {
		return false
	}
	// In order: a fuzzer takes an order that changes for a discovery.
	for _, object := range binary.objects {
		if plan, err := binary.Compile(string(object.Name())); err == nil {
			_ = plan.Verify(bfbs)
		}
	}
	return true
}

func TestMutatedSchemasAreRefusedOrUsable(t *testing.T) {
	t.Parallel()
	original := testdata(t, "older.bfbs")
	bfbs := append([]byte(nil), original...)
	opened := 0
	for i := range bfbs {
		for _, b := range replacements(len(bfbs), original[i]) {
			bfbs[i] = b
			if openAndUse(bfbs) {
				opened++
			}
		}
		bfbs[i] = original[i]
	}
	if opened == 0 {
		t.Error("no mutant was opened: the test sees nothing")
	}
}

func TestSuccessDoesNotAllocate(t *testing.T) {
	for _, s := range corpus(t) {
		plan := s.plan(t)
		allocs := testing.AllocsPerRun(100, func() {
			if err := s.verify(plan, s.data); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations", s.name, allocs)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, s := range corpus(b) {
		plan := s.plan(b)
		b.Run(strings.ReplaceAll(fmt.Sprintf("%s/%dB", s.name, len(s.data)), " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := s.verify(plan, s.data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
