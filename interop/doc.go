// Package interop holds no code that Go programs use: its tests run clients of
// other people's, in several languages and in a browser, against the bus, and
// the files in docs/clients against records made in Go.
//
// They need Node.js, Python 3, what "make interop-deps" installs, and Chromium
// for the page in docs/LANGUAGES.md. Without them they are skipped, and fail
// where the environment has CI=true. The bus at a Crossbar router wants what
// "make interop-crossbar" installs, which compiles for minutes, and is skipped
// without it everywhere.
package interop
