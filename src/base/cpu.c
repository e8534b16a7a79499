/* SPDX-License-Identifier: Apache-2.0 */
/* What this CPU and this process's cgroup offer. */
#include "base/cpu.h"

#include <cpuid.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"

enum incise_isa incise_isa_detect(void)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi2"))
        return INCISE_ISA_SCALAR;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
        return INCISE_ISA_AVX2;
    if (!__builtin_cpu_supports("avx512vnni")) return INCISE_ISA_AVX512;
    unsigned a = 0, b = 0, c = 0, d = 0; /* avx512_bf16 is leaf 7, subleaf 1, eax bit 5 */
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 5)) != 0) return INCISE_ISA_BF16;
    return INCISE_ISA_VNNI;
}

const char *incise_isa_name(enum incise_isa isa)
{
    static const char *const names[] = {"scalar", "avx2", "avx512", "vnni", "bf16"};
    return (unsigned)isa < sizeof names / sizeof names[0] ? names[isa] : "unknown";
}

const char *incise_cpu_name(void)
{
    static _Thread_local char name[49];
    unsigned regs[12] = {0};
    for (unsigned i = 0; i < 3; i++)
        if (!__get_cpuid(0x80000002u + i, &regs[4 * i], &regs[4 * i + 1], &regs[4 * i + 2], &regs[4 * i + 3]))
            return "unknown";
    memcpy(name, regs, 48);
    name[48] = '\0';
    size_t end = strlen(name);
    while (end > 0 && name[end - 1] == ' ') name[--end] = '\0';
    return name + strspn(name, " ");
}

/* Reads up to two numbers from a small file; returns how many were there. "max" ends the reading. */
static int read_numbers(const char *path, long long *first, long long *second)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) return 0;
    int n = fscanf(file, "%lld %lld", first, second);
    fclose(file);
    return n < 0 ? 0 : n;
}

/* CPUs of the cgroup quota rounded up; 0 = no quota. */
static int quota_cpus(void)
{
    long long quota = -1, period = 0, ignored;
    if (read_numbers("/sys/fs/cgroup/cpu.max", &quota, &period) != 2) {
        if (read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", &quota, &ignored) < 1) return 0;
        if (read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_period_us", &period, &ignored) < 1) return 0;
    }
    if (quota <= 0 || period <= 0 || quota / period > 4096) return 0;
    return (int)((quota + period - 1) / period);
}

int inc_cpu_count(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    int quota = quota_cpus();
    if (quota > 0 && quota < count) count = quota;
    return count < 1 ? 1 : count;
}

size_t inc_memory_limit(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t limit = SIZE_MAX;
    if (pages > 0 && page > 0 && !inc_size_mul((size_t)pages, (size_t)page, &limit)) limit = SIZE_MAX;
    long long group = 0, ignored;
    if (read_numbers("/sys/fs/cgroup/memory.max", &group, &ignored) < 1 &&
        read_numbers("/sys/fs/cgroup/memory/memory.limit_in_bytes", &group, &ignored) < 1)
        return limit;
    return group > 0 ? inc_min_size(limit, (size_t)group) : limit;
}
