package rawsocket

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// The octets are the specification's.
func TestGreet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format codec.Format
		most   int
		want   Hello
		takes  int
	}{
		{codec.JSON, 0, Hello{0x7f, 0x01}, 512}, {codec.MessagePack, 1023, Hello{0x7f, 0x02}, 512}, {codec.CBOR, 1024, Hello{0x7f, 0x13}, 1024},
		{codec.MessagePack, 5000, Hello{0x7f, 0x32}, 4096}, {codec.MessagePack, 1<<24 - 2, Hello{0x7f, 0xe2}, 1 << 23},
		{codec.MessagePack, 1<<24 - 1, Hello{0x7f, 0xf2}, 1<<24 - 1}, {codec.MessagePack, 1 << 30, Hello{0x7f, 0xf2}, 1<<24 - 1},
	} {
		got := Greet(c.format, c.most)
		if got != c.want || got.Takes() != c.takes {
			t.Errorf("%v, %d bytes: % x takes %d, want % x and %d", c.format, c.most, got, got.Takes(), c.want, c.takes)
		}
		if f, err := got.Asks(); f != c.format || err != nil {
			t.Errorf("% x asks for %v, %v", got, f, err)
		}
		if err := got.Answers(c.format); err != nil {
			t.Errorf("% x: %v", got, err)
		}
	}
}

// FuzzHello: of all greetings, what is accepted is one of the specification's,
// and what is refused is answered with a refusal that the other end reads.
func FuzzHello(f *testing.F) {
	for _, hello := range []string{"\x7f\xf1\x00\x00", "\x7f\x02\x00\x00", "\x7f\xf3\x00\x01", "\x7f\xf4\x00\x00", "\x7f\x10\x00\x00", "GET "} {
		f.Add([]byte(hello))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 4 {
			return
		}
		h := Hello(b)
		format, err := h.Asks()
		var refused Refusal
		switch {
		case err == nil:
			if h.Answers(format) != nil || h[0] != 0x7f || h[2] != 0 || h[3] != 0 || h.Takes() < Shortest || h.Takes() > Longest || Greet(format, h.Takes()) != h {
				t.Errorf("% x is taken for %v", h, format)
			}
		case errors.As(err, &refused):
			if told := Refusal(0); !errors.As(refused.Hello().Answers(codec.JSON), &told) || told != refused {
				t.Errorf("% x: %v is read as %v", h, refused, told)
			}
		case h[0] == 0x7f:
			t.Errorf("% x has no answer: %v", h, err)
		}
		for _, format := range codec.Formats {
			if err := h.Answers(format); err == nil && Greet(format, h.Takes()) != h {
				t.Errorf("% x is taken for an answer in %v", h, format)
			}
		}
	})
}

// FuzzRead: whatever comes in, however it is cut, frames are those that were
// written, within the bound, and what announces much takes little.
func FuzzRead(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02hi\x01\x00\x00\x01p\x02\x00\x00\x00"), uint16(512))
	f.Add([]byte("\x00\xff\xff\xff"), uint16(0xffff))
	f.Add([]byte("\x03\x00\x00\x00"), uint16(0))
	f.Add([]byte("\x00\x00\x00\x05half"), uint16(5))
	f.Add([]byte("\x00\x00\x00\x05over!"), uint16(4))
	f.Fuzz(func(t *testing.T, b []byte, most uint16) {
		var again []byte
		for r := iotest.OneByteReader(bytes.NewReader(b)); ; {
			kind, payload, err := Read(r, int(most))
			if err != nil {
				var over *event.TooLargeError
				ended := errors.Is(err, io.EOF) && len(again) == len(b)
				if !ended && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, new(KindError)) && !(errors.As(err, &over) && over.Actual > uint64(most)) {
					t.Errorf("behind %d of %d bytes: %v", len(again), len(b), err)
				}
				break
			}
			if len(payload) > int(most) {
				t.Errorf("a payload of %d bytes, at most are %d", len(payload), most)
			}
			again = append(AppendHead(again, kind, len(payload)), payload...)
		}
		if !bytes.HasPrefix(b, again) {
			t.Errorf("% x was read as % x", b, again)
		}
	})
}

// A frame that announces 16 MiB and brings nothing takes no 16 MiB.
func TestReadTakesWhatComes(t *testing.T) {
	t.Parallel()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		if _, _, err := Read(bytes.NewReader([]byte("\x00\xff\xff\xffabc")), Longest); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 100<<20 {
		t.Errorf("a hundred of them took %d bytes", took)
	}
	long := bytes.Repeat([]byte("long"), 1<<20)
	if kind, payload, err := Read(bytes.NewReader(append(AppendHead(nil, Message, len(long)), long...)), Longest); kind != Message || !bytes.Equal(payload, long) || err != nil {
		t.Errorf("a long frame: %v, %d bytes, %v", kind, len(payload), err)
	}
}
