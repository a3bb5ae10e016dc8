#!/bin/sh
# Stands in for QEMU in tests/runner.rs: notes its arguments, and does what the script in the test's folder says.
echo "$@" >>"$STAND_IN/arguments"
exec sh "$STAND_IN/script"
