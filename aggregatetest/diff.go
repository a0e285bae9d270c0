package aggregatetest

import "strings"

// diff shows two texts line by line: what is in one of them alone begins with
// '-' or '+'. It finds the longest common subsequence, which is quadratic and
// good enough for what a test shows.
func diff(want, got string) string {
	a, b := lines(want), lines(got)
	common := make([][]int, len(a)+1) // of a[i:] and b[j:]
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out strings.Builder
	line := func(mark, text string) { out.WriteString(mark + text + "\n") }
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			line("  ", a[i])
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			line("- ", a[i])
			i++
		default:
			line("+ ", b[j])
			j++
		}
	}
	return out.String()
}

// difference shows what differs: as it is shown, or else, when that is the same
// because the rest was cut off, the part of the whole that differs.
func difference(want, got rendering) string {
	if want.shown != got.shown {
		return diff(want.shown, got.shown)
	}
	return diff(around(want.exact, got.exact))
}

// around cuts two texts down to where they differ, with a few lines before and
// after.
func around(want, got string) (string, string) {
	const context = 3
	a, b := lines(want), lines(got)
	same := min(len(a), len(b))
	before := 0
	for before < same && a[before] == b[before] {
		before++
	}
	after := 0
	for after < same-before && a[len(a)-1-after] == b[len(b)-1-after] {
		after++
	}
	before, after = max(before-context, 0), max(after-context, 0)
	return excerpt(a, before, after), excerpt(b, before, after)
}

// excerpt leaves out lines at the beginning, at the end, and where there are
// more than a test can show.
func excerpt(lines []string, before, after int) string {
	const most = 200
	var out []string
	if before > 0 {
		out = append(out, "  …")
	}
	middle := lines[before : len(lines)-after]
	out = append(out, middle[:min(len(middle), most)]...)
	if after > 0 || len(middle) > most {
		out = append(out, "  …")
	}
	return strings.Join(out, "\n") + "\n"
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}
