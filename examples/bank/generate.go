package bank

//go:generate go run github.com/verbatim-es/verbatim/cmd/es generate bank.fbs
