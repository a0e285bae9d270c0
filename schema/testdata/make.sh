#!/bin/sh
# Makes the .bfbs files in this directory, with the flatc of the version in
# go.mod. Usage: sh make.sh FLATC (from this directory).
set -e
options="--schema -b --bfbs-builtins --bfbs-comments"
"$1" $options --require-explicit-ids --bfbs-filenames . -I .. bank.fbs bank2.fbs rival.fbs several.fbs wrong.fbs
"$1" $options --bfbs-filenames . unsupported.fbs aligned.fbs alignedvector.fbs
# The same schema without comments, under the same file name.
mkdir plain
"$1" --schema -b --bfbs-builtins --require-explicit-ids --bfbs-filenames . -I .. -o plain bank.fbs
mv plain/bank.bfbs bank_plain.bfbs
rmdir plain
