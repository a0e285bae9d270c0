#!/bin/sh
# Makes the .bfbs files, with the flatc of the version in go.mod.
# Usage: sh make.sh FLATC (from this directory).
set -e
"$1" --schema -b --bfbs-builtins --require-explicit-ids --bfbs-filenames . -I ../../../schema ./*.fbs
