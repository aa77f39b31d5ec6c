#!/bin/sh
# What the node expects in its volume, which may be new and empty.
set -eu
mkdir -p -m 700 "$BECKON_HOME" "$HOME" "$TMPDIR" "$XDG_CACHE_HOME"
exec beckon "$@"
