package wampbus

import (
	"encoding/binary"
	"unicode/utf8"
)

// The opcodes of RFC 6455, section 5.2.
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

// Close codes of RFC 6455, section 7.4, and of the IANA registry.
const (
	closeNormal      = 1000
	closeGoingAway   = 1001
	closeProtocol    = 1002
	closeUnsupported = 1003
	closePolicy      = 1008
	closeInternal    = 1011
	closeTryAgain    = 1013
)

// maxFrameHeader is the largest head of a frame of any transport, in bytes.
const maxFrameHeader = 10

// appendFrame appends one final, unmasked frame, as servers send them.
func appendFrame(dst []byte, opcode byte, payload []byte) []byte {
	return append(appendFrameHead(dst, opcode, len(payload)), payload...)
}

// appendFrameHead appends what stands before a payload of n bytes.
func appendFrameHead(dst []byte, opcode byte, n int) []byte {
	const final = 0x80
	dst = append(dst, final|opcode)
	switch {
	case n < 126:
		return append(dst, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
}

// closePayload is the payload of a close frame. Control frames hold at most
// 125 bytes.
func closePayload(code uint16, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, code), shortened(reason, 123)...)
}

// shortened cuts text to at most the given bytes, and to whole characters.
func shortened(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}
