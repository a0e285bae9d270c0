package schema

import _ "embed"

// ESFile is the name by which users' schemas include es.fbs.
const ESFile = "es.fbs"

// ESSource is the text of es.fbs: the record, and the attributes that users'
// schemas carry. The generator puts it where flatc finds it.
//
//go:embed es.fbs
var ESSource string
