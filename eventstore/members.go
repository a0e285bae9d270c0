package eventstore

import (
	"slices"

	"github.com/verbatim-es/verbatim/internal/keytable"
	"github.com/verbatim-es/verbatim/schema/flat"
)

// memberships have the events of many lists of one kind, by their names, each of
// which is copied once. Most lists have few events, and there are hundreds of
// thousands: so they are without pointers, which the garbage collector would
// follow again and again. They only ever grow.
type memberships struct {
	table keytable.Table
	lists []members
	names []byte
	few   []uint32   // of lists with few events, each in room of its own
	many  [][]uint32 // of the others
}

// members are the events of a list: offsets, ascending. Of a stream, version is
// that of the first.
type members struct {
	version uint64
	name    uint32 // where it begins
	length  uint16 // of the name
	room    uint16 // in few, 0 for a list in many
	count   uint32
	at      uint32 // in few or many
}

// manyEvents is how many events a list has that has memory of its own.
const manyEvents = 17

func newMemberships() memberships { return memberships{table: keytable.New()} }

// find returns the number of a list, -1 if there is none of that name.
func (m *memberships) find(hash uint32, name string) int32 {
	return m.table.Find(hash, func(number int32) bool { return m.name(number) == name })
}

// name is that of a list.
func (m *memberships) name(number int32) string {
	l := &m.lists[number]
	return flat.String(m.names[l.name:][:l.length])
}

// add puts an event on a list, whose first it is where its version counts. It
// returns which list that is, and what that takes in memory: 0 for an event that
// is there already.
func (m *memberships) add(name string, offset uint32, version uint64) (number int32, bytes int64) {
	hash := m.table.HashString(name)
	if number = m.find(hash, name); number >= 0 {
		return number, m.addTo(&m.lists[number], offset)
	}
	number = int32(len(m.lists))
	m.lists = append(m.lists, members{version: version, name: uint32(len(m.names)), length: uint16(len(name)), room: 1, count: 1, at: uint32(len(m.few))})
	m.names = append(m.names, name...)
	m.few = append(m.few, offset)
	m.table.Add(hash, number)
	return number, int64(len(name)) + listBytes
}

func (m *memberships) addTo(l *members, offset uint32) (bytes int64) {
	on := m.offsets(l)
	if on[len(on)-1] == offset {
		return 0 // a tag that was given twice
	}
	switch {
	case l.room == 0:
		m.many[l.at] = append(m.many[l.at], offset)
	case l.count < uint32(l.room):
		m.few[l.at+l.count] = offset
	case l.count+1 < manyEvents:
		l.at, l.room = uint32(len(m.few)), 4*l.room
		m.few = append(append(m.few, on...), offset)
		m.few = append(m.few, make([]uint32, uint32(l.room)-l.count-1)...)
	default:
		l.at, l.room = uint32(len(m.many)), 0
		m.many = append(m.many, append(slices.Clone(on), offset))
	}
	l.count++
	return postingBytes
}

// offsets are those of a list as it is now. They never change.
func (m *memberships) offsets(l *members) []uint32 {
	if l.room == 0 {
		return m.many[l.at]
	}
	return m.few[l.at:][:l.count:l.count]
}
