// Package interop holds no code that Go programs use: its tests run clients of
// other languages against the bus and the files in docs/clients against records
// made in Go.
//
// They need Node.js, Python 3 and what "make interop-deps" installs. Without
// them they are skipped, and fail where the environment has CI=true.
package interop
