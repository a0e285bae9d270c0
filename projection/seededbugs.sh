#!/bin/sh
# Plants each bug of bugs.go and checks that the tests find it.
cd "$(dirname "$0")" || exit 1
status=0
for file in bug_*.go; do
	bug=$(basename "$file" .go)
	[ "$bug" = bug_none ] && continue
	go test -tags "$bug" -run '^$' . >/dev/null || { echo "$bug: does not build"; status=1; continue; }
	if out=$(go test -count=1 -short -timeout 5m -tags "$bug" -run '^(TestKilled|TestAbortedBatchCountsOnce|TestViewsFollowTheLog|TestVersionsSideBySide|TestSkippedEventStaysSkipped)$' . 2>&1); then
		echo "$bug: NOT FOUND"
		status=1
	else
		echo "$bug: found by $(echo "$out" | sed -n 's/^--- FAIL: \([^ ]*\).*/\1/p' | sort -u | paste -sd' '):" \
			"$(echo "$out" | sed -n 's/^ *[a-z_]*test.go:[0-9]*: //p; /^panic:/p' | head -1 | cut -c1-140)"
	fi
done
exit $status
