// Package interop holds no code that Go programs use: its tests run clients of
// other people's, in several languages and in a browser, against the bus, and
// the files in docs/clients against records made in Go.
//
// They need Node.js, Python 3 and what "make interop-deps" installs. Without
// them they are skipped, and fail where the environment has CI=true. The page in
// docs/LANGUAGES.md wants Chromium, and is skipped without it everywhere.
package interop
