package rawsocket

import (
	"fmt"
	"math/bits"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

const magic = 0x7f

// Shortest and Longest are the least and the most, in bytes, that an end can
// say it takes. The most is one less than the exponent in its greeting stands
// for: what the length of a frame can say.
const (
	Shortest = 1 << 9
	Longest  = 1<<24 - 1
)

// serializers are the formats' numbers in the handshake.
var serializers = map[codec.Format]byte{codec.JSON: 1, codec.MessagePack: 2, codec.CBOR: 3}

// Hello is what each end begins with.
type Hello [4]byte

// Greet is the greeting of an end that speaks a format and takes payloads of at
// most so many bytes: it says the largest length not above that which it can
// say, and no less than [Shortest].
func Greet(f codec.Format, most int) Hello {
	exponent := bits.Len(Longest >> 9)
	if most < Longest {
		exponent = max(bits.Len(uint(max(most, 0)))-bits.Len(Shortest), 0)
	}
	return Hello{magic, byte(exponent)<<4 | serializers[f]}
}

// Takes is the longest payload that the end which says hello takes, in bytes.
func (h Hello) Takes() int { return min(Shortest<<(h[1]>>4), Longest) }

// Refusal is why a server won't have a client. It is the number of the error in
// its answer.
type Refusal byte

// The refusals of the specification. The one of a length no server of ours says.
const (
	RefuseSerializer  Refusal = 1
	RefuseLength      Refusal = 2
	RefuseReserved    Refusal = 3
	RefuseConnections Refusal = 4
)

func (r Refusal) Error() string {
	switch r {
	case RefuseSerializer:
		return "it does not speak this serialization"
	case RefuseLength:
		return "it does not accept this length of messages"
	case RefuseReserved:
		return "it does not know the reserved bits"
	case RefuseConnections:
		return "it has as many connections as it takes"
	}
	return fmt.Sprintf("error %d", byte(r))
}

// Hello is the answer of a server that refuses.
func (r Refusal) Hello() Hello { return Hello{magic, byte(r) << 4} }

// Asks reads a client's greeting and returns the format that it asks for. Where
// a server has an answer to a wrong one, the error is that [Refusal].
func (h Hello) Asks() (codec.Format, error) {
	if h[0] != magic {
		return 0, fmt.Errorf("the first octet is 0x%02x, not 0x%02x", h[0], magic)
	}
	for f, number := range serializers {
		if number != h[1]&0xf {
			continue
		}
		if h[2] != 0 || h[3] != 0 {
			return 0, RefuseReserved
		}
		return f, nil
	}
	return 0, RefuseSerializer
}

// Answers reads a server's answer to a client that asked for a format. Where the
// server refuses, the error is a [Refusal].
func (h Hello) Answers(f codec.Format) error {
	switch asked := serializers[f]; {
	case h[0] != magic || h[2] != 0 || h[3] != 0:
		return fmt.Errorf("the server does not speak RawSocket: it answered % x", h[:])
	case h[1]&0xf == 0:
		return fmt.Errorf("the server refused the handshake: %w", Refusal(h[1]>>4))
	case h[1]&0xf != asked:
		return fmt.Errorf("the server answered with serialization %d, %d was asked for", h[1]&0xf, asked)
	}
	return nil
}
