package rawsocket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/verbatim-es/verbatim/event"
)

// Kind is what a frame is: its first octet.
type Kind byte

// The kinds of frames.
const (
	Message Kind = iota
	Ping
	Pong
)

// KindError is a frame of a kind that there is not.
type KindError Kind

func (e KindError) Error() string { return fmt.Sprintf("a frame's first octet is 0x%02x", byte(e)) }

// AppendHead appends what stands before a payload of n bytes, at most [Longest].
func AppendHead(dst []byte, k Kind, n int) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(k)<<24|uint32(n))
}

// Read reads one frame; the payload is the caller's. It takes memory as the
// bytes come, not as they are announced. The error is [io.EOF] where the other
// end closed between frames, a [KindError], an [event.TooLargeError] for a
// payload over most, or the reader's; no frame can be read behind one.
func Read(r io.Reader, most int) (Kind, []byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	kind, n := Kind(head[0]), int(binary.BigEndian.Uint32(head[:])&Longest)
	switch {
	case kind > Pong:
		return 0, nil, KindError(kind)
	case n > most:
		return 0, nil, &event.TooLargeError{Bound: "message", Limit: uint64(most), Actual: uint64(n)}
	}
	payload, err := read(r, n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return kind, payload, err
}

func read(r io.Reader, n int) ([]byte, error) {
	const trusted = 64 << 10
	b := make([]byte, 0, min(n, trusted))
	for len(b) < n {
		if len(b) == cap(b) {
			b = append(make([]byte, 0, min(n, 2*cap(b))), b...)
		}
		got, err := io.ReadFull(r, b[len(b):cap(b)])
		if b = b[:len(b)+got]; err != nil {
			return nil, err
		}
	}
	return b, nil
}
