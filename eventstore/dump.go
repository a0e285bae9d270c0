package eventstore

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// A dump is a sequence of sections, integers little endian; docs/FORMAT.md
// describes it. Each has a header of 16 bytes: its tag, the CRC-32C of tag,
// length and payload, and the length of the payload that follows.
//
//	head    format 8, store id 16, last position 8, its id 16
//	schema  .bfbs, in the order in which they came to the store
//	page    records, whole ones
//	end     nothing
const (
	dumpFormat = 1

	dumpHead   = "VBDH"
	dumpSchema = "VBDS"
	dumpPage   = "VBDP"
	dumpEnd    = "VBDE"

	sectionHeader = 16
	dumpHeadBytes = 48
	// dumpPageBytes is where a page ends; a single record may be larger.
	dumpPageBytes = 1 << 20
)

// maxSection bounds a section's payload by its tag, 0 for one that is not known.
func maxSection(tag string) uint64 {
	switch tag {
	case dumpHead:
		return dumpHeadBytes
	case dumpSchema:
		return verify.MaxBFBS
	case dumpPage:
		return event.MaxRecord + dumpPageBytes
	default:
		return 0
	}
}

// DumpDir writes all schemas and records of the log in a directory, whether a
// process has the store open or not: the bytes as they are stored, each record's
// checksum verified. [Load] makes a store of them. The index is not needed.
//
// progress, unless it is nil, is called with the position written so far and the
// last there will be.
func DumpDir(ctx context.Context, dir string, to io.Writer, progress func(position, head uint64)) (head event.Head, err error) {
	s := &Store{dir: dir}
	if _, err := s.openLogReadOnly(); err != nil {
		return head, err
	}
	defer func() { err = errors.Join(err, s.closeFiles(), s.unlock()) }()
	last, err := s.log.lastPlace()
	if err != nil {
		return head, err
	}
	d := dumper{log: s.log, head: last, to: bufio.NewWriterSize(to, 1<<16), progress: progress}
	if err := d.run(ctx); err != nil {
		return head, fmt.Errorf("dump: %w", err)
	}
	return last.headOf(s.log.store), nil
}

// dumper is a dump on its way.
type dumper struct {
	log      *eventLog
	head     place
	to       *bufio.Writer
	page     []byte
	progress func(position, head uint64)
}

func (d *dumper) run(ctx context.Context) error {
	head := binary.LittleEndian.AppendUint64(nil, dumpFormat)
	head = append(head, d.log.store[:]...)
	head = binary.LittleEndian.AppendUint64(head, d.head.position)
	if err := d.section(dumpHead, append(head, d.head.id[:]...)); err != nil {
		return err
	}
	schemas, err := d.log.keptSchemas()
	if err != nil {
		return err
	}
	for _, bfbs := range schemas {
		if err := d.section(dumpSchema, bfbs); err != nil {
			return err
		}
	}
	for at := uint64(0); at < d.head.position; {
		if err := ctx.Err(); err != nil {
			return err
		}
		events, err := d.log.appendsAfter(at, d.head.position)
		if err != nil {
			return err
		}
		if err := d.pages(events); err != nil {
			return err
		}
		at = events[len(events)-1].Position()
		if d.progress != nil {
			d.progress(at, d.head.position)
		}
	}
	if err := d.section(dumpEnd, nil); err != nil {
		return err
	}
	return d.to.Flush()
}

func (d *dumper) pages(events []event.Event) error {
	for i, e := range events {
		d.page = append(d.page, e.Record()...)
		if len(d.page) < dumpPageBytes && i+1 < len(events) {
			continue
		}
		if err := d.section(dumpPage, d.page); err != nil {
			return err
		}
		d.page = d.page[:0]
	}
	return nil
}

func (d *dumper) section(tag string, payload []byte) error {
	var header [sectionHeader]byte
	copy(header[:], tag)
	binary.LittleEndian.PutUint64(header[8:], uint64(len(payload)))
	binary.LittleEndian.PutUint32(header[4:], sectionSum(header[:], payload))
	if _, err := d.to.Write(header[:]); err != nil {
		return err
	}
	_, err := d.to.Write(payload)
	return err
}

// sectionSum is the checksum of a section, over all but itself.
func sectionSum(header, payload []byte) uint32 {
	sum := crc32.Update(0, castagnoli, header[:4])
	sum = crc32.Update(sum, castagnoli, header[8:])
	return crc32.Update(sum, castagnoli, payload)
}

// readSection reads the next section into buffer, which it returns, grown if
// need be. The payload is verified.
func readSection(from io.Reader, buffer []byte) (tag string, payload []byte, err error) {
	var header [sectionHeader]byte
	if _, err := io.ReadFull(from, header[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = dumpDamage("it ends early")
		}
		return "", buffer, err
	}
	tag = string(header[:4])
	length, limit := binary.LittleEndian.Uint64(header[8:]), maxSection(tag)
	if limit == 0 && tag != dumpEnd || length > limit {
		return "", buffer, dumpDamage("a section begins with %x", header)
	}
	if uint64(cap(buffer)) < length {
		buffer = make([]byte, length)
	}
	payload = buffer[:length]
	if _, err := io.ReadFull(from, payload); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = dumpDamage("it ends early, in a section %q of %d bytes", tag, length)
		}
		return "", buffer, err
	}
	if sum := sectionSum(header[:], payload); sum != binary.LittleEndian.Uint32(header[4:]) {
		return "", buffer, dumpDamage("the checksum of a section %q of %d bytes is %08x, it states %08x", tag, length, sum, binary.LittleEndian.Uint32(header[4:]))
	}
	return tag, payload, nil
}

func dumpDamage(message string, args ...any) error {
	return &event.CorruptError{Message: "the dump is damaged: " + fmt.Sprintf(message, args...)}
}
