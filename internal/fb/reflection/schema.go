package reflection

import _ "embed"

// BFBS is the binary schema that this package was generated from.
//
//go:embed reflection.bfbs
var BFBS []byte
