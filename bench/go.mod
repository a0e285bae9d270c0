module github.com/verbatim-es/verbatim/bench

go 1.26.0

require (
	github.com/google/flatbuffers v25.12.19+incompatible
	github.com/verbatim-es/verbatim v0.0.0
	github.com/vmihailenco/msgpack/v5 v5.4.1
	google.golang.org/protobuf v1.36.12
)

require (
	github.com/oklog/ulid/v2 v2.1.2 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
)

replace github.com/verbatim-es/verbatim => ../
