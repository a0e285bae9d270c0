package eventstoretest

import (
	_ "embed"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema"
)

//go:embed testdata/ledger.bfbs
var ledger []byte

// Schema are the schemas a log under test must know.
var Schema = schema.Sources{{Name: "ledger.fbs", BFBS: ledger}}

// The types of [Schema]. Of NotedType events, the tag "text:…" is derived;
// NoteType is a command, and no event.
const (
	NotedType  = "contract.ledger.Noted"
	StruckType = "contract.ledger.Struck"
	NoteType   = "contract.ledger.Note"
)

// Noted is a proposed event of NotedType.
func Noted(text string, amount int64) event.Proposed {
	b := flatbuffers.NewBuilder(64)
	s := b.CreateString(text)
	b.StartObject(2)
	b.PrependInt64Slot(1, amount, 0)
	b.PrependUOffsetTSlot(0, s, 0)
	b.Finish(b.EndObject())
	return event.Proposed{Type: NotedType, Data: b.FinishedBytes()}
}

// Struck is a proposed event of StruckType.
func Struck(amount int64) event.Proposed {
	b := flatbuffers.NewBuilder(32)
	b.StartObject(1)
	b.PrependInt64Slot(0, amount, 0)
	b.Finish(b.EndObject())
	return event.Proposed{Type: StruckType, Data: b.FinishedBytes()}
}
