//go:build !cgo

package lmdbenv

// LMDB is a C library. Without cgo this package can't be built, and this is the
// one line the compiler complains about.
const _ = StoresAndViewsNeedLMDB_BuildWith_CGO_ENABLED_1_AndACCompiler
