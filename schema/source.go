package schema

import "fmt"

// API is the number of the agreement between this module and the Go that es
// generate writes, the number in flat.GeneratedForAPI1ElseRunEsGenerate.
const API = 1

// Source is one compiled schema as generated code embeds it.
type Source struct {
	Name string // of the .fbs file, for messages
	BFBS []byte // as flatc wrote it

	// API is the [API] that the code around it was generated for, and Fingerprint
	// that of the schema that it was generated from. 0 says nothing, as where
	// there is no code.
	API         int
	Fingerprint uint64
}

// Sources are the schemas of a generated package.
type Sources []Source

// Parse is [Parse] for a source. A [*StaleError] says that generated code does
// not fit this module, or not the binary schema beside it. The compiler finds the
// first as well, unless the line that asks for it is gone; nothing else finds the
// second, which is what a merge leaves that took one file from each side.
func (s Source) Parse() (*Schema, error) {
	if s.API != 0 && s.API != API {
		return nil, &StaleError{Schema: s.Name, Reason: fmt.Sprintf("it is for API %d of the generator, and this module has API %d", s.API, API)}
	}
	parsed, err := Parse(s.BFBS)
	if err != nil {
		return nil, err
	}
	if s.Fingerprint != 0 && s.Fingerprint != parsed.Fingerprint {
		return nil, &StaleError{Schema: s.Name, Reason: fmt.Sprintf("it is from the schema %016x, and the .bfbs beside it is %016x", s.Fingerprint, parsed.Fingerprint)}
	}
	return parsed, nil
}
