/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char last_error[4096];
static atomic_size_t fail_after = SIZE_MAX;
static atomic_bool fail_once;
static atomic_size_t live_allocations;

/* Takes one from the budget of allocations that still succeed; false once it is used up. */
static bool take_allocation(void)
{
    size_t left = atomic_load(&fail_after);
    while (left != SIZE_MAX) {
        if (left == 0) {
            if (atomic_load(&fail_once)) atomic_store(&fail_after, SIZE_MAX);
            return false;
        }
        if (atomic_compare_exchange_weak(&fail_after, &left, left - 1)) break;
    }
    return true;
}

static void *test_allocate(void *user, size_t bytes)
{
    (void)user;
    if (bytes > SIZE_MAX - INC_ALIGN || !take_allocation()) return NULL;
    void *memory = aligned_alloc(INC_ALIGN, (bytes + INC_ALIGN - 1) / INC_ALIGN * INC_ALIGN);
    if (memory) atomic_fetch_add(&live_allocations, 1);
    return memory;
}

static void test_release(void *user, void *memory)
{
    (void)user;
    atomic_fetch_sub(&live_allocations, 1);
    free(memory);
}

static void keep_error(void *user, enum incise_log_level level, const char *text)
{
    (void)user;
    if (level == INCISE_LOG_ERROR) snprintf(last_error, sizeof last_error, "%s", text);
}

static const struct inc_ctx context = {
    .allocator = {.allocate = test_allocate, .release = test_release},
    .log = keep_error,
    .log_level = INCISE_LOG_WARNING,
};

const struct inc_ctx *test_ctx(void)
{
    return &context;
}

const char *test_last_error(void)
{
    return last_error;
}

void test_clear_error(void)
{
    last_error[0] = '\0';
}

void test_fail_after(size_t n)
{
    atomic_store(&fail_once, false);
    atomic_store(&fail_after, n);
}

void test_fail_once_after(size_t n)
{
    atomic_store(&fail_once, true);
    atomic_store(&fail_after, n);
}

size_t test_live_allocations(void)
{
    return atomic_load(&live_allocations);
}

uint64_t test_seed(void)
{
    static uint64_t seed;
    static bool known;
    if (!known) {
        const char *text = getenv("INCISE_SEED");
        seed = text ? strtoull(text, NULL, 0) : 1;
        known = true;
        printf("INCISE_SEED=%llu\n", (unsigned long long)seed);
    }
    return seed;
}

uint64_t test_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

float test_random_float(uint64_t *state, float low, float high)
{
    float unit = (float)(test_random(state) >> 40) * 0x1p-24f;
    return low + (high - low) * unit;
}

size_t test_random_below(uint64_t *state, size_t n)
{
    return (size_t)(test_random(state) % n);
}

char *test_patched(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    char *patched = malloc(strlen(text) + strlen(to) + 1);
    assert_non_null(at);
    assert_non_null(patched);
    sprintf(patched, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return patched;
}

bool test_can_run(const char *name, enum incise_isa isa)
{
    if (isa <= incise_isa_detect()) return true;
    printf("skipped: %s (this CPU lacks %s)\n", name, incise_isa_name(isa));
    return false;
}

/* A guarded block: [guard page][data pages][guard page]; the data touch the guard on the side asked for. */
static size_t data_pages_bytes(size_t bytes, size_t page)
{
    return bytes ? (bytes + page - 1) / page * page : page;
}

void *test_guarded_alloc(size_t bytes, int at_end)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t data = data_pages_bytes(bytes, page);
    unsigned char *map = mmap(NULL, data + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map + page, data, PROT_READ | PROT_WRITE) != 0) {
        perror("test_guarded_alloc");
        abort();
    }
    return map + page + (at_end ? data - bytes : 0);
}

void test_guarded_free(void *memory, size_t bytes, int at_end)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t data = data_pages_bytes(bytes, page);
    unsigned char *map = (unsigned char *)memory - (at_end ? data - bytes : 0) - page;
    if (munmap(map, data + 2 * page) != 0) abort();
}
