package reflection

import _ "embed"

//go:generate go run github.com/verbatim-es/verbatim/internal/fb/generate reflection

// BFBS is the binary schema that this package was generated from.
//
//go:embed reflection.bfbs
var BFBS []byte
