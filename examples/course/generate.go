package course

//go:generate go run github.com/verbatim-es/verbatim/cmd/es generate course.fbs
