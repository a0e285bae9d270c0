package schema

import "strings"

// Snake returns a name in lower snake case with its dots kept, the form of URI
// components in topics and procedures: "bank.account.MoneyDeposited" becomes
// "bank.account.money_deposited", "HTTPServer2" becomes "http_server2". An
// underscore goes before an upper-case letter that follows a lower-case letter
// or a digit, and before the last of several upper-case letters when a
// lower-case one follows it.
func Snake(name string) string {
	var b strings.Builder
	b.Grow(len(name) + 4)
	for i := range len(name) {
		c := name[i]
		if !isUpper(c) {
			b.WriteByte(c)
			continue
		}
		if i > 0 && (isLower(name[i-1]) || isDigit(name[i-1]) ||
			isUpper(name[i-1]) && i+1 < len(name) && isLower(name[i+1])) {
			b.WriteByte('_')
		}
		b.WriteByte(c + 'a' - 'A')
	}
	return b.String()
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isWire tells whether name can be one component of a URI as strict routers
// want it: lower-case letters, digits and underscores, a letter first.
func isWire(name string) bool {
	if name == "" || !isLower(name[0]) {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !isLower(c) && !isDigit(c) && c != '_' {
			return false
		}
	}
	return true
}
