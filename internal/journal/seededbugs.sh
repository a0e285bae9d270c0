#!/bin/sh
# Plants each bug of bugs.go and checks that the tests find it.
# Usage: internal/journal/seededbugs.sh [go test flags]
cd "$(dirname "$0")" || exit 1
status=0
for file in bug_*.go; do
	bug=${file%.go}
	[ "$bug" = bug_none ] && continue
	go test -tags "$bug" -run '^$' . >/dev/null || { echo "$bug: does not build"; status=1; continue; }
	if out=$(go test -count=1 -tags "$bug" -rapid.nofailfile "$@" . 2>&1); then
		echo "$bug: NOT FOUND"
		status=1
	else
		echo "$bug: found by $(echo "$out" | sed -n 's/^--- FAIL: \([^ ]*\).*/\1/p' | sort -u | paste -sd' ')"
	fi
done
exit $status
