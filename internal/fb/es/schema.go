package es

import _ "embed"

// BFBS is the binary schema that this package was generated from.
//
//go:embed es.bfbs
var BFBS []byte
