/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz targets: tests/fuzz/fuzz_<name>.c defines this function. It runs under libFuzzer (preset fuzz, program
 * fuzz_<name>) and over tests/fuzz/corpus/<name>/ in every test run (program replay_<name>). */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#ifdef INCISE_LIBFUZZER /* a target may bring a mutator of its own */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
#endif

#endif
