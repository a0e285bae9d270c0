// Package framework measures aggregates and projections, beside
// hallgren/eventsourcing and, as the limit, a Go map.
//
//	go -C bench test -run '^$' -bench 'Command|Load|Visible|Lookup' -count 5 ./framework
//	go -C bench test -run '^$' -bench Rebuild -benchtime 1x -count 5 -timeout 1h ./framework
package framework

//go:generate go -C ../.. run ./cmd/es generate bench/framework/tally.fbs
