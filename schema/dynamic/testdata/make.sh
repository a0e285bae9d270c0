#!/bin/sh
# Makes what in this directory is not written by hand, with the flatc of the
# version in go.mod. Usage: sh make.sh FLATC (from this directory).
set -e
flatc=$1
$flatc --schema -b --bfbs-builtins --bfbs-comments --bfbs-filenames . --require-explicit-ids features.fbs

# How flatc reads our JSON.
$flatc -b features.fbs full.json special.json
mv full.bin full.flatc.bin
mv special.bin special.flatc.bin

# How flatc reads our data. go test -run TestGolden -update . writes full.ours.bin
temporary=$(mktemp -d)
$flatc --json --strict-json -o "$temporary" --raw-binary features.fbs -- full.ours.bin
mv "$temporary/full.ours.json" full.flatc.json
rmdir "$temporary"
