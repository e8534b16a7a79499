#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts into a prefix is enough to build the example with pkg-config and with find_package, also
# after the prefix was moved. usage: $0 SOURCE_ROOT BUILD_FOLDER COMPILER COMPILER_FLAGS
set -euo pipefail
source=$1
build=$2
cc=$3
flags=$4
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

cmake --install "$build" --prefix "$scratch/first" >log
mv first prefix
libdir=$(dirname "$(find prefix -name 'libincise.so')")
for file in bin/incise include/incise/embed.h include/incise/status.h; do
    [ -f "prefix/$file" ] || { echo "$file is not installed" && exit 1; }
done
diff <(cd "$source/include" && find . -type f | sort) <(cd prefix/include && find . -type f | sort)

prefix/bin/incise convert "$source/tests/data/tiny/bert-hf" -o model
run() { # PROGRAM
    "$1" model "the small model" "the small model" 2>/dev/null
    "$1" model "the small model" "zero blocks" 2>/dev/null
}
# The second one from the command's vectors.
printf '%s\n' "the small model" "zero blocks" | prefix/bin/incise embed model --as raw --log error |
    od -An -v -tf4 -w4 | awk 'NR <= 64 { q[NR] = $1; next } { s += q[NR - 64] * $1 } END { print s }' >expected

# shellcheck disable=SC2086,SC2046
PKG_CONFIG_PATH=$libdir/pkgconfig "$cc" $flags -std=c11 -Wall -Wextra -Wpedantic -Werror "$source/examples/embed.c" \
    $(PKG_CONFIG_PATH=$libdir/pkgconfig pkg-config --cflags --libs incise) -o with_pkg_config
LD_LIBRARY_PATH=$libdir run ./with_pkg_config >printed
[ "$(sed -n 1p printed)" = 1.0000 ]
sed -n 2p printed | paste - expected | awk '{ exit !(($1 - $2) ^ 2 < 1e-8) }'
if LD_LIBRARY_PATH=$libdir ./with_pkg_config missing a b 2>message; then exit 1; fi
grep -q '^embed: missing' message

cmake -S "$source/examples" -B with_cmake -DCMAKE_PREFIX_PATH="$scratch/prefix" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_C_FLAGS="$flags" >>log
cmake --build with_cmake >>log
run with_cmake/embed | diff - printed
echo "the example built twice"
