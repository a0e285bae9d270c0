//go:build race

package verify

// The race detector makes reading bytes twenty times slower: what only counts
// on many inputs is thinned out under it, and runs whole in make test's second
// pass.
const raceEnabled = true
