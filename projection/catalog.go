package projection

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// The catalog is what the environment knows about its views, in its meta
// database:
//
//	"live"                  checkpoint of all live builds, and the log's last
//	                        position as last heard (8 bytes, big endian)
//	"view/<view>"           the slot that serves, one byte
//	"state/<view>/<slot>"   how far a build is: see state
//	"pace/<view>/<slot>"    how fast a build caught up lately: see pace, as JSON
//	"layout/<view>/<slot>"  what a build was made for: see layout, as JSON
//	"schema/<view>/<slot>"  the binary schema of its rows
//	"skip/<view>/<version>/<position>"
//	                        an event that is left out: [Skipped] as JSON; the
//	                        position in 20 digits
//	"asked"                 the number of the last request, 8 bytes, big endian
//	"request/<number>"      what another process asks for: see inbox.go
//	"answer/<number>"       what became of it
//
// A transaction that writes rows writes the checkpoint they belong to.
type catalog struct{ db lmdbenv.DBI }

const (
	liveKey      = "live"
	viewPrefix   = "view/"
	statePrefix  = "state/"
	pacePrefix   = "pace/"
	layoutPrefix = "layout/"
	schemaPrefix = "schema/"
	skipPrefix   = "skip/"
	stuckPrefix  = "stuck/"
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
	statusBuilding status = 2 // catches up from its own checkpoint, to be live
	statusParked   status = 3 // its handler failed
	// statusRebuilding is a build that catches up to replace the main build of
	// its version.
	statusRebuilding status = 4
)

// String returns the word that [Stored] has for it.
func (s status) String() string {
	return [...]string{"unused", "live", "building", "parked", "rebuilding"}[s]
}

// state is how far a build is. On disk: status (1 byte), its own checkpoint,
// which counts unless it is live, and for a parked one the [Parked] as JSON.
type state struct {
	status status
	at     checkpoint
	parked *Parked
}

func (s *state) catchesUp() bool { return s.status == statusBuilding || s.status == statusRebuilding }

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

// Skipped is an event that a version of a view leaves out, because somebody
// decided so when the view was parked at it. Rebuilds of the version leave it
// out too; another version begins without.
type Skipped struct {
	Parked
	// SkippedAt is when that was decided; Parked.Time is when the handler failed.
	SkippedAt time.Time `json:"skipped_at"`
}

func (s *state) behind(view string, live checkpoint) error {
	if s.parked != nil {
		return &event.BehindError{Position: s.at.position, Message: fmt.Sprintf(
			"view %q is parked at position %d (%s): %s: resume it, skip the event, or rebuild it", view, s.parked.Position, s.parked.Type, s.parked.Message)}
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

// Table is the full name of the table that the build was made for.
func (l layout) Table() string {
	if len(l.Lines) == 0 {
		return ""
	}
	return strings.TrimPrefix(l.Lines[0], tableLine)
}

// tableLine is how the first line of a layout begins.
const tableLine = "table "

func (c catalog) live(txn *lmdbenv.Txn) (checkpoint, error) {
	value, found, err := getKey(txn, c.db, []byte(liveKey))
	if err != nil || !found {
		return checkpoint{}, err
	}
	return readCheckpoint(value)
}

// head returns the log's last position as it was known with the live
// checkpoint, which is not behind it.
func (c catalog) head(txn *lmdbenv.Txn, live checkpoint) (uint64, error) {
	value, _, err := getKey(txn, c.db, []byte(liveKey))
	if err != nil || len(value) < checkpointSize+8 {
		return live.position, err
	}
	return max(live.position, binary.BigEndian.Uint64(value[checkpointSize:])), nil
}

func (c catalog) putLive(txn *lmdbenv.Txn, at checkpoint, head uint64) error {
	return txn.Put(c.db, []byte(liveKey), binary.BigEndian.AppendUint64(at.append(nil), head), 0)
}

// servingSlot returns the slot that a view is read from.
func (c catalog) servingSlot(txn *lmdbenv.Txn, view string) (slot byte, found bool, err error) {
	value, found, err := getKey(txn, c.db, []byte(viewPrefix+view))
	if err != nil || !found {
		return 0, false, err
	}
	if len(value) != 1 || value[0] >= slots {
		return 0, false, catalogError(view, nil)
	}
	return value[0], true, nil
}

func (c catalog) putServing(txn *lmdbenv.Txn, view string, slot byte) error {
	return txn.Put(c.db, []byte(viewPrefix+view), []byte{slot}, 0)
}

func (c catalog) removeServing(txn *lmdbenv.Txn, view string) error {
	return txn.Del(c.db, []byte(viewPrefix+view), nil)
}

func slotKey(prefix, view string, slot byte) []byte {
	return strconv.AppendUint([]byte(prefix+view+"/"), uint64(slot), 10)
}

func (c catalog) state(txn *lmdbenv.Txn, view string, slot byte) (s state, found bool, err error) {
	value, found, err := getKey(txn, c.db, slotKey(statePrefix, view, slot))
	if err != nil || !found {
		return s, false, err
	}
	if len(value) < 1+checkpointSize || status(value[0]) > statusRebuilding {
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

// pace is how many positions a second a build had caught up lately at a time.
// Other processes read it; the engine goes by what it counts itself.
type pace struct {
	Rate float64   `json:"rate"`
	Time time.Time `json:"time"`
}

func (c catalog) putPace(txn *lmdbenv.Txn, b *build, r rate) error {
	value, err := json.Marshal(pace{Rate: r.value, Time: r.at.UTC().Truncate(time.Millisecond)})
	if err != nil {
		return err
	}
	return txn.Put(c.db, slotKey(pacePrefix, b.view.name, b.slot), value, 0)
}

// pace returns the rate of a build, zero when none was stored.
func (c catalog) pace(txn *lmdbenv.Txn, view string, slot byte) (rate, error) {
	value, found, err := getKey(txn, c.db, slotKey(pacePrefix, view, slot))
	if err != nil || !found {
		return rate{}, err
	}
	var p pace
	if err := json.Unmarshal(value, &p); err != nil {
		return rate{}, catalogError(view, err)
	}
	return rate{value: p.Rate, at: p.Time}, nil
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
	if err := txn.Put(c.db, slotKey(schemaPrefix, b.view.name, b.slot), b.view.bfbs, 0); err != nil {
		return err
	}
	return c.putState(txn, b, s)
}

// remove strikes a build out. Its databases are the caller's.
func (c catalog) remove(txn *lmdbenv.Txn, view string, slot byte) error {
	for _, prefix := range []string{statePrefix, pacePrefix, layoutPrefix, schemaPrefix} {
		if err := txn.Del(c.db, slotKey(prefix, view, slot), nil); err != nil && !lmdbenv.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// stored returns the names of all views that have a build.
func (c catalog) stored(txn *lmdbenv.Txn) (names []string, err error) {
	err = c.scan(txn, viewPrefix, func(rest string, _ []byte) error {
		names = append(names, rest)
		return nil
	})
	return names, err
}

// slots returns the slots of a view that hold a build.
func (c catalog) slots(txn *lmdbenv.Txn, view string) (found []byte, err error) {
	err = c.scan(txn, statePrefix+view+"/", func(rest string, _ []byte) error {
		slot, err := strconv.ParseUint(rest, 10, 8)
		if err != nil || slot >= slots {
			return catalogError(view, fmt.Errorf("slot %q", rest))
		}
		found = append(found, byte(slot))
		return nil
	})
	slices.Sort(found)
	return found, err
}

func skipKey(view, version string, position uint64) []byte {
	return fmt.Appendf(nil, "%s%s/%s/%020d", skipPrefix, view, version, position)
}

func (c catalog) putSkip(txn *lmdbenv.Txn, view, version string, s Skipped) error {
	value, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return txn.Put(c.db, skipKey(view, version, s.Position), value, 0)
}

// skips returns the events that a version leaves out, nil for none.
func (c catalog) skips(txn *lmdbenv.Txn, view, version string) (skips map[uint64]Skipped, err error) {
	err = c.scan(txn, skipPrefix+view+"/"+version+"/", func(_ string, value []byte) error {
		var s Skipped
		if err := json.Unmarshal(value, &s); err != nil {
			return catalogError(view, err)
		}
		if skips == nil {
			skips = make(map[uint64]Skipped)
		}
		skips[s.Position] = s
		return nil
	})
	return skips, err
}

func (c catalog) removeSkips(txn *lmdbenv.Txn, view, version string) error {
	return c.removeAll(txn, skipPrefix+view+"/"+version+"/")
}

// removeAll removes every entry whose key starts with prefix.
func (c catalog) removeAll(txn *lmdbenv.Txn, prefix string) error {
	var keys []string
	if err := c.scan(txn, prefix, func(rest string, _ []byte) error {
		keys = append(keys, prefix+rest)
		return nil
	}); err != nil {
		return err
	}
	for _, key := range keys {
		if err := txn.Del(c.db, []byte(key), nil); err != nil {
			return err
		}
	}
	return nil
}

// scan calls fn with every entry whose key starts with prefix, and the rest of
// the key. fn must not write.
func (c catalog) scan(txn *lmdbenv.Txn, prefix string, fn func(rest string, value []byte) error) error {
	cursor, err := txn.OpenCursor(c.db)
	if err != nil {
		return err
	}
	defer cursor.Close()
	key, value, err := cursor.Get([]byte(prefix), nil, lmdbenv.SetRange)
	for ; err == nil && bytes.HasPrefix(key, []byte(prefix)); key, value, err = cursor.Get(nil, nil, lmdbenv.Next) {
		if err := fn(string(key[len(prefix):]), value); err != nil {
			return err
		}
	}
	if lmdbenv.IsNotFound(err) {
		return nil
	}
	return err
}

func catalogError(view string, err error) error {
	message := "its entries in the catalog are missing or unreadable"
	if err != nil {
		message = err.Error()
	}
	return fmt.Errorf("view %q: %s: stop the engine and remove the views directory, it is built again from the log", view, message)
}
