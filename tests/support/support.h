/* SPDX-License-Identifier: Apache-2.0 */
/* What several tests need: cmocka's headers, a context that keeps the last error, seeded numbers, guard pages. */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/context.h"

/* A context whose errors are kept (test_last_error) instead of printed. Its allocator is malloc and can be told to
 * fail: test_fail_after(n) lets n allocations succeed and fails all later ones, test_fail_once_after(n) only the next;
 * SIZE_MAX switches that off. */
const struct inc_ctx *test_ctx(void);
const char *test_last_error(void);
void test_clear_error(void);
void test_fail_after(size_t n);
void test_fail_once_after(size_t n);
size_t test_live_allocations(void); /* not yet freed: 0 at the end of a test means no leak */

/* Deterministic random numbers (splitmix64); the seed is INCISE_SEED or 1, printed on the first call. */
uint64_t test_seed(void);
uint64_t test_random(uint64_t *state);
float test_random_float(uint64_t *state, float low, float high);
size_t test_random_below(uint64_t *state, size_t n);

/* `text` with its first `from` replaced by `to`; free it. */
char *test_patched(const char *text, const char *from, const char *to);

/* Whether this CPU can run kernel `name`, which needs `isa`. One that it cannot is named, so that a green run shows
 * what it did not cover. */
bool test_can_run(const char *name, enum incise_isa isa);

/* `bytes` of memory that end (at_end) or start right at an unreadable page. Free with the same arguments. */
void *test_guarded_alloc(size_t bytes, int at_end);
void test_guarded_free(void *memory, size_t bytes, int at_end);

#endif
