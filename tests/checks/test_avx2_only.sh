#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_avx2_only.sh INCISE PRELOAD: under the preload a program sees AVX2 and nothing above; a true fault still ends it.
set -euo pipefail
grep -qw cpuid_fault /proc/cpuinfo || { echo "this CPU cannot let CPUID fault"; exit 77; }
grep -qw avx2 /proc/cpuinfo || { echo "this CPU has no AVX2"; exit 77; }
fail() { echo "test_avx2_only: $*" >&2; exit 1; }

told=$(LD_PRELOAD=$2 "$1" devices | head -1)
[[ $told == *"(the CPU's best: avx2)"* ]] || fail "devices says: $told"
status=0
LD_PRELOAD=$2 sh -c 'kill -SEGV $$' || status=$?
[ "$status" = 139 ] || fail "a fault ends with status $status"
