#!/bin/sh
# Makes the .bfbs files, with the flatc of the version in go.mod.
# Usage: sh make.sh FLATC (from this directory).
set -e
include=$PWD/../../../schema
for dir in whole split; do
	(cd $dir && "$1" --schema -b --bfbs-builtins --require-explicit-ids --bfbs-filenames . -I "$include" ./*.fbs)
done
