package dynamic_test

import (
	"fmt"
	"os"

	"github.com/verbatim-es/verbatim/schema/dynamic"
)

func Example() {
	bfbs, err := os.ReadFile("testdata/features.bfbs") // a store has them all
	if err != nil {
		panic(err)
	}
	compiled, err := dynamic.Compile(bfbs)
	if err != nil {
		panic(err)
	}
	leaf, _ := compiled.Table("features.Leaf")

	data, err := leaf.ParseJSON([]byte(`{"name": "oak", "size": 3}`))
	if err != nil {
		panic(err)
	}
	if err := leaf.WriteTree(os.Stdout, data); err != nil {
		panic(err)
	}
	text, err := leaf.AppendJSON(nil, data)
	fmt.Println(string(text), err)

	large, err := leaf.Filter(`size > 2 and not name == "fir"`)
	if err != nil {
		panic(err)
	}
	fmt.Println(large.Match(data))

	_, err = leaf.ParseJSON([]byte(`{"name": "oak", "siez": 3}`))
	fmt.Println(err)
	_, err = leaf.Filter("siez > 2")
	fmt.Println(err)
	// Output:
	// name  "oak"
	// size  3
	// {"name":"oak","size":3} <nil>
	// true <nil>
	// json: features.Leaf has no field "siez": it has name, size (byte 16)
	// filter: features.Leaf has no field "siez": it has name, size (character 1 of "siez > 2")
}
