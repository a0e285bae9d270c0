#!/bin/sh
# Makes the .bfbs files in this directory, with the flatc of the version in
# go.mod. Usage: sh make.sh FLATC (from this directory).
set -e
"$1" --schema -b --bfbs-builtins --bfbs-comments --bfbs-filenames . --require-explicit-ids -I ../../schema shop.fbs shop2.fbs shop_changed.fbs shop_clash.fbs nested.fbs nested_grown.fbs nested_clash.fbs
