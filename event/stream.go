package event

import "strings"

// StreamName joins a category and an id to the name of a stream:
// "account" and "42" to "account-42".
func StreamName(category, id string) string { return category + "-" + id }

// SplitStream splits a stream's name at its first '-' into category and id.
// A name without '-' is all category.
func SplitStream(stream string) (category, id string) {
	category, id, _ = strings.Cut(stream, "-")
	return category, id
}
