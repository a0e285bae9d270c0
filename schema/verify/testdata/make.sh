#!/bin/sh
# Makes everything in this directory that is not text, with the flatc of the
# version in go.mod. Usage: sh make.sh FLATC (from this directory).
set -e
flatc=$1
flatbuffers=$(go list -m -f '{{.Dir}}' github.com/google/flatbuffers)
options="--schema -b --bfbs-builtins --bfbs-comments"

$flatc $options --require-explicit-ids --bfbs-filenames . shapes.fbs newer.fbs older.fbs wrapped.fbs
$flatc -b shapes.fbs node.json

# FlatBuffers' own test schema, with data written by its C++, Go and Python
# runtimes. Apache-2.0, as FlatBuffers.
$flatc $options --bfbs-filenames "$flatbuffers/tests" -I "$flatbuffers/tests/include_test" "$flatbuffers/tests/monster_test.fbs"
for data in monsterdata_test.mon monsterdata_go_wire.mon.sp monsterdata_python_wire.mon; do
  cp "$flatbuffers/tests/$data" .
  chmod 644 "$data"
done

# Not a schema this module supports: 64-bit offsets.
$flatc $options --bfbs-filenames "$flatbuffers/tests" "$flatbuffers/tests/64bit/test_64bit.fbs"
