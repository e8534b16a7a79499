#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The sources respect the layers, and the script that says so notices when they do not. usage: $0 SOURCE_ROOT
set -euo pipefail
root=$1
check() { python3 "$root/scripts/check_includes.py" "$1"; }

check "$root"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch"/{src/base,src/graph,src/kernels/gemm,include/incise,tools}
touch "$scratch/include/incise/model.h" "$scratch/src/base/size.h" "$scratch/src/graph/graph.h"
printf '#include "base/size.h"\n#include "incise/model.h"\n' >"$scratch/src/graph/graph.c"
check "$scratch" >/dev/null

expect_failure() { # FILE INCLUDE
    printf '#include "%s"\n' "$2" >"$scratch/$1"
    if check "$scratch" >/dev/null; then
        echo "$1 including $2 was not noticed"
        exit 1
    fi
    rm "$scratch/$1"
}
expect_failure src/base/low.c graph/graph.h
expect_failure src/base/low.c ../graph/graph.h
expect_failure src/kernels/gemm/gemm.c graph/graph.h
expect_failure tools/main.c base/size.h
expect_failure include/incise/engine.h base/size.h
expect_failure src/graph/other.c missing.h
