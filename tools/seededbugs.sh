#!/bin/sh
# Plants each bug of a package's bugs.go, one at a time, and fails unless the
# tests find it. Usage: tools/seededbugs.sh [package]..., of those below; all when
# none is given. STATES is how many states of the simulation eventstore looks at.
cd "$(dirname "$0")/.." || exit 1

# plant runs the package's tests, with the flags, once with each bug of the files.
plant() {
	package=$1 files=$2
	shift 2
	for file in $files; do
		bug=$(basename "$file" .go)
		[ "$bug" = bug_none ] && continue
		[ "$package $bug" = "eventstore bug_cut_anywhere" ] && continue # damage, no crash: the journal's own tests find it
		go test -tags "$bug" -run '^$' "./$package" >/dev/null || { echo "$package: $bug: does not build"; status=1; continue; }
		if out=$(go test -count=1 -timeout 5m -tags "$bug" "./$package" "$@" 2>&1); then
			echo "$package: $bug: NOT FOUND"
			status=1
		else
			echo "$package: $bug: found by $(echo "$out" | sed -n 's/^--- FAIL: \([^ ]*\).*/\1/p' | sort -u | paste -sd' '):" \
				"$(echo "$out" | sed -n 's/^ *[a-z_]*test.go:[0-9]*: //p; /^panic:/p' | head -1 | cut -c1-140)"
		fi
	done
}

status=0
[ $# -gt 0 ] || set -- internal/journal eventstore aggregate projection
for suite; do
	case $suite in
	internal/journal) plant "$suite" "$suite/bug_*.go" -rapid.nofailfile ;;
	eventstore) plant "$suite" "$suite/bug_*.go internal/journal/bug_*.go" \
		-run '^(TestCrashSimulated|TestKilled|TestNothingIsMissedBeforeWaiting)$' -crash-states="${STATES:-600}" ;;
	aggregate) plant "$suite" "$suite/bug_*.go" ;;
	projection) plant "$suite" "$suite/bug_*.go" -short \
		-run '^(TestKilled|TestAbortedBatchCountsOnce|TestViewsFollowTheLog|TestVersionsSideBySide|TestSkippedEventStaysSkipped|TestTakenIsStoredAsItWas|TestStoringBesideFolding)$' ;;
	*) echo "$suite has no seeded bugs" >&2; status=2 ;;
	esac
done
exit $status
