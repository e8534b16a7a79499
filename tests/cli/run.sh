#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs one script of this folder in an empty folder and compares what it prints with NAME.out and its exit code with
# NAME.exit (0 without that file). usage: run.sh SCRIPT.sh   (INCISE_BUILD: build folder; INCISE_UPDATE=1: rewrite .out)
#
# Scripts see $data (tests/data), the commands below, and `incise` and `cli_check` of the build.
set -uo pipefail
script=$(realpath "$1")
expected=${script%.sh}
build=$(realpath "$INCISE_BUILD")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for variable in $(compgen -v INCISE_); do # environment twins must not change what is tested
    [ "$variable" = INCISE_UPDATE ] || unset "$variable"
done

incise() { "$build/incise" "$@"; }
cli_check() { "$build/tests/cli_check" "$@"; }
fails() { # COMMAND...: what it says and its exit code, for commands that must fail
    "$@" 2>&1
    echo "-> exit $?"
}
export -f incise cli_check fails
export build scratch LC_ALL=C data=data

cd "$scratch" || exit 1
ln -s "$(dirname "$(dirname "$script")")/data" data
bash -u "$script" >"$scratch/.stdout" 2>"$scratch/.stderr"
code=$?
cd / || exit 1
if [ -n "${INCISE_UPDATE-}" ]; then
    cp "$scratch/.stdout" "$expected.out"
fi
wanted=0
[ -f "$expected.exit" ] && wanted=$(cat "$expected.exit")
if [ "$code" -ne "$wanted" ] || ! diff -u "$expected.out" "$scratch/.stdout"; then
    echo "exit code $code, expected $wanted; stderr:"
    cat "$scratch/.stderr"
    exit 1
fi
