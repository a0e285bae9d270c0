// Package codec compares how long one event of six fields takes to build and to
// read, and how many bytes it has, in the form that Verbatim stores and in the
// forms that others do.
//
//	go test -bench . -benchmem -count 7 ./codec
package codec

//go:generate go -C ../.. run ./cmd/es generate bench/codec/payment.fbs
//go:generate go run ./internal/pbgen

// paid is the event as encoding/json and msgpack want it.
type paid struct {
	Account   string `json:"account" msgpack:"account"`
	Reference string `json:"reference" msgpack:"reference"`
	Amount    int64  `json:"amount" msgpack:"amount"`
	Currency  uint16 `json:"currency" msgpack:"currency"`
	At        int64  `json:"at" msgpack:"at"`
	Settled   bool   `json:"settled" msgpack:"settled"`
}

// sample is the event that all codecs encode.
var sample = paid{
	Account: "account-4711", Reference: "invoice 2026/1138", Amount: 129900, Currency: 978, At: 1795381200123, Settled: true,
}
