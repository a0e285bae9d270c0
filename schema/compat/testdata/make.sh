#!/bin/sh
# Makes the .bfbs files of pairs/, with the flatc of the version in go.mod.
# Usage: sh make.sh FLATC (from this directory).
set -e
for pair in pairs/*/; do
  "$1" --schema -b --bfbs-builtins --require-explicit-ids --bfbs-filenames "$pair" -I ../.. -o "$pair" "${pair}old.fbs" "${pair}new.fbs"
done
