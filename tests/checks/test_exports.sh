#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The shared library exports names of the public API only. usage: $0 LIBRARY
set -euo pipefail
symbols=$(nm -D --defined-only "$1" | awk '{print $3}')
others=$(grep -v '^incise_' <<<"$symbols" || true)
if [ -n "$others" ]; then
    echo "exported, but not incise_*:" $others
    exit 1
fi
[ -n "$symbols" ] || { echo "no symbols"; exit 1; }
echo "$(wc -l <<<"$symbols") symbols, all incise_*"
