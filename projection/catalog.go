package projection

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// The catalog is what the environment knows about its views, in its meta
// database:
//
//	"live"                  checkpoint of all live builds
//	"view/<view>"           the slot that serves, one byte
//	"state/<view>/<slot>"   how far a build is: see state
//	"layout/<view>/<slot>"  what a build was made for: see layout, as JSON
//
// A transaction that writes rows writes the checkpoint they belong to.
type catalog struct{ db lmdbenv.DBI }

const (
	liveKey      = "live"
	viewPrefix   = "view/"
	statePrefix  = "state/"
	layoutPrefix = "layout/"
)

// checkpoint is how far a follower has applied its source. On disk: store id
// (16 bytes), position (8, big endian), event id (16).
type checkpoint struct {
	store    event.ID
	position uint64
	id       event.ID
}

const checkpointSize = 40

func (c checkpoint) append(dst []byte) []byte {
	dst = append(dst, c.store[:]...)
	dst = binary.BigEndian.AppendUint64(dst, c.position)
	return append(dst, c.id[:]...)
}

func readCheckpoint(b []byte) (c checkpoint, err error) {
	if len(b) < checkpointSize {
		return c, fmt.Errorf("a checkpoint of %d bytes, want %d", len(b), checkpointSize)
	}
	copy(c.store[:], b)
	c.position = binary.BigEndian.Uint64(b[16:])
	copy(c.id[:], b[24:])
	return c, nil
}

// status is what a build is doing. The numbers are on disk.
type status byte

const (
	unused         status = 0
	statusLive     status = 1 // advances with the other live builds
	statusBuilding status = 2 // catches up from its own checkpoint
	statusParked   status = 3 // its handler failed
)

// state is how far a build is. On disk: status (1 byte), its own checkpoint,
// which counts unless it is live, and for a parked one the [Parked] as JSON.
type state struct {
	status status
	at     checkpoint
	parked *Parked
}

// Parked says where and why a view stands still.
type Parked struct {
	// Position, Event and Type are those of the event that was not applied.
	Position uint64   `json:"position"`
	Event    event.ID `json:"event"`
	Type     string   `json:"type"`
	// Message is the handler's error.
	Message string    `json:"message"`
	Time    time.Time `json:"time"`
}

func (s *state) behind(view string, live checkpoint) error {
	if s.parked != nil {
		return &event.BehindError{Position: s.at.position, Message: fmt.Sprintf(
			"view %q is parked at position %d (%s): %s: resume or rebuild it", view, s.parked.Position, s.parked.Type, s.parked.Message)}
	}
	return &event.BehindError{Position: s.at.position, Message: fmt.Sprintf(
		"view %q is being built, the others are at position %d", view, live.position)}
}

// layout is what a build was made for.
type layout struct {
	Version string   `json:"version"`
	Lines   []string `json:"layout"`
	Indexes []string `json:"indexes"`
}

func (c catalog) live(txn *lmdbenv.Txn) (checkpoint, error) {
	value, found, err := getKey(txn, c.db, []byte(liveKey))
	if err != nil || !found {
		return checkpoint{}, err
	}
	return readCheckpoint(value)
}

func (c catalog) putLive(txn *lmdbenv.Txn, at checkpoint) error {
	return txn.Put(c.db, []byte(liveKey), at.append(nil), 0)
}

// serving returns the slot that a view is read from, and its state.
func (c catalog) serving(txn *lmdbenv.Txn, view string) (slot byte, s state, err error) {
	value, found, err := getKey(txn, c.db, []byte(viewPrefix+view))
	if err != nil || !found || len(value) != 1 || value[0] >= slots {
		return 0, s, catalogError(view, err)
	}
	slot = value[0]
	s, found, err = c.state(txn, view, slot)
	if err != nil || !found {
		return 0, s, catalogError(view, err)
	}
	return slot, s, nil
}

func (c catalog) putServing(txn *lmdbenv.Txn, view string, slot byte) error {
	return txn.Put(c.db, []byte(viewPrefix+view), []byte{slot}, 0)
}

func slotKey(prefix, view string, slot byte) []byte {
	return append([]byte(prefix+view+"/"), '0'+slot)
}

func (c catalog) state(txn *lmdbenv.Txn, view string, slot byte) (s state, found bool, err error) {
	value, found, err := getKey(txn, c.db, slotKey(statePrefix, view, slot))
	if err != nil || !found {
		return s, false, err
	}
	if len(value) < 1+checkpointSize || status(value[0]) > statusParked {
		return s, false, catalogError(view, nil)
	}
	s.status = status(value[0])
	if s.at, err = readCheckpoint(value[1:]); err != nil {
		return s, false, catalogError(view, err)
	}
	if s.status == statusParked {
		s.parked = new(Parked)
		if err := json.Unmarshal(value[1+checkpointSize:], s.parked); err != nil {
			return s, false, catalogError(view, err)
		}
	}
	return s, true, nil
}

func (c catalog) putState(txn *lmdbenv.Txn, b *build, s state) error {
	value := s.at.append([]byte{byte(s.status)})
	if s.parked != nil {
		parked, err := json.Marshal(s.parked)
		if err != nil {
			return err
		}
		value = append(value, parked...)
	}
	return txn.Put(c.db, slotKey(statePrefix, b.view.name, b.slot), value, 0)
}

func (c catalog) layout(txn *lmdbenv.Txn, view string, slot byte) (l layout, err error) {
	value, found, err := getKey(txn, c.db, slotKey(layoutPrefix, view, slot))
	if err != nil || !found {
		return l, catalogError(view, err)
	}
	if err := json.Unmarshal(value, &l); err != nil {
		return l, catalogError(view, err)
	}
	return l, nil
}

// create enters a build with nothing in it.
func (c catalog) create(txn *lmdbenv.Txn, b *build, s state) error {
	value, err := json.Marshal(layout{Version: b.view.version, Lines: b.view.layout, Indexes: b.view.indexNames()})
	if err != nil {
		return err
	}
	if err := txn.Put(c.db, slotKey(layoutPrefix, b.view.name, b.slot), value, 0); err != nil {
		return err
	}
	return c.putState(txn, b, s)
}

// remove strikes a build out. Its databases are the caller's.
func (c catalog) remove(txn *lmdbenv.Txn, view string, slot byte) error {
	for _, prefix := range []string{statePrefix, layoutPrefix} {
		if err := txn.Del(c.db, slotKey(prefix, view, slot), nil); err != nil && !lmdbenv.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// stored returns the names of all views that have a build.
func (c catalog) stored(txn *lmdbenv.Txn) ([]string, error) {
	cursor, err := txn.OpenCursor(c.db)
	if err != nil {
		return nil, err
	}
	defer cursor.Close()
	var names []string
	prefix := []byte(viewPrefix)
	key, _, err := cursor.Get(prefix, nil, lmdbenv.SetRange)
	for ; err == nil && bytes.HasPrefix(key, prefix); key, _, err = cursor.Get(nil, nil, lmdbenv.Next) {
		names = append(names, strings.TrimPrefix(string(key), viewPrefix))
	}
	if err != nil && !lmdbenv.IsNotFound(err) {
		return nil, err
	}
	return names, nil
}

func catalogError(view string, err error) error {
	message := "its entries in the catalog are missing or unreadable"
	if err != nil {
		message = err.Error()
	}
	return fmt.Errorf("view %q: %s: stop the engine and remove the views directory, it is built again from the log", view, message)
}
