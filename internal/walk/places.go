package walk

import (
	"sync"
	"sync/atomic"
)

// Places remembers pages of a log's tree that never change any more, and on which
// of them records are: about 8 bytes for 256 records, and a bit for a page. The
// zero value remembers nothing, and is ready to use by any number of goroutines.
type Places struct {
	mu    sync.Mutex // of who makes them longer
	slots atomic.Pointer[[]*slots]
	kept  atomic.Pointer[[]uint64] // pages, as bits
}

// A slot is for positions that differ in their low bits only. It is 0, or the
// number of a page, and behind it the low bits of the position of the first
// record on it.
const (
	slotBits    = 8
	slotMask    = 1<<slotBits - 1
	maxPageBits = 64 - slotBits
	fewSlots    = 1 << 12
)

type slots [fewSlots]atomic.Uint64

// at returns what a slot says, page 0 if nothing.
func (p *Places) at(slot uint64) (page, first uint64) {
	all := p.slots.Load()
	if all == nil || slot/fewSlots >= uint64(len(*all)) {
		return 0, 0
	}
	v := (*all)[slot/fewSlots][slot%fewSlots].Load()
	return v >> slotBits, slot<<slotBits | v&slotMask
}

// guess returns the page on which a position may be, 0 when nothing is known
// around there.
func (p *Places) guess(position uint64) uint64 {
	slot := position >> slotBits
	page, first := p.at(slot)
	if page == 0 || first > position {
		if before, at := p.at(slot - 1); before != 0 {
			slot, page, first = slot-1, before, at
		}
	}
	next, behind := p.at(slot + 1)
	if page == 0 || first > position || next <= page || next-page > behind-first {
		return page // pages are not one behind the other there
	}
	return page + (position-first)*(next-page)/(behind-first)
}

// learn remembers a page and the position of the first record on it.
func (p *Places) learn(page, first uint64) {
	if page == 0 || page>>maxPageBits != 0 {
		return
	}
	slot := first >> slotBits
	p.slotsOf(slot)[slot%fewSlots].Store(page<<slotBits | first&slotMask)
}

// slotsOf returns those of a slot, and makes those that are not there yet.
func (p *Places) slotsOf(slot uint64) *slots {
	n := slot / fewSlots
	if all := p.slots.Load(); all != nil && n < uint64(len(*all)) {
		return (*all)[n]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*slots
	if old := p.slots.Load(); old != nil {
		all = append(all, *old...)
	}
	for n >= uint64(len(all)) {
		all = append(all, new(slots))
	}
	p.slots.Store(&all)
	return all[n]
}

// pages are those that are kept. Others may be added meanwhile, and bits set.
func (p *Places) pages() []uint64 {
	if kept := p.kept.Load(); kept != nil {
		return *kept
	}
	return nil
}

func (p *Places) keeps(page uint64) bool {
	kept := p.pages()
	return page/64 < uint64(len(kept)) && atomic.LoadUint64(&kept[page/64])>>(page%64)&1 == 1
}

// keep remembers that pages never change any more. All of them are below the end.
func (p *Places) keep(pages []uint64, end uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.pages()
	if words := end/64 + 1; words > uint64(len(kept)) {
		more := make([]uint64, max(words, 2*uint64(len(kept))))
		copy(more, kept) // only who holds mu sets bits
		kept = more
		p.kept.Store(&kept)
	}
	for _, page := range pages {
		if page < end {
			atomic.OrUint64(&kept[page/64], 1<<(page%64))
		}
	}
}
