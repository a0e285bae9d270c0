package es

import _ "embed"

//go:generate go run github.com/verbatim-es/verbatim/internal/fb/generate es

// BFBS is the binary schema that this package was generated from.
//
//go:embed es.bfbs
var BFBS []byte
