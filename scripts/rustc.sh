#!/bin/sh
# Runs rustc for the workspace's own crates. A crate's tests contain the crate once more: optimised fully,
# that is half of a clean build's time. Programs and libraries are compiled as their profile says.
for argument; do
    if [ "$argument" = --test ]; then
        exec "$@" -C opt-level=1 -C codegen-units=16
    fi
done
exec "$@"
