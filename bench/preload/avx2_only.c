/* SPDX-License-Identifier: Apache-2.0 */
/* LD_PRELOAD=libavx2_only.so PROGRAM: its CPUID instructions tell of no vector extension beyond AVX2 and FMA, so that
 * all libraries in it choose what they would run on a CPU without more, whatever variables they heed. Linux lets CPUID
 * fault (arch_prctl(2), ARCH_SET_CPUID; "cpuid_fault" in /proc/cpuinfo) and a signal handler answers in its place. Only
 * the C library has asked before: how it copies memory stays. */
#include <asm/prctl.h>
#include <cpuid.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define EXPORT   __attribute__((visibility("default")))
#define BIT(n)   (1u << (n))
#define FEATURES 7 /* the leaf that tells of them */

/* Bits of eax, ebx, ecx and edx of subleaves 0 and 1; names as in Intel's manual, volume 2A, CPUID. */
static const uint32_t hidden[2][4] = {
    {0,
     /* AVX512 F, DQ, IFMA, PF, ER, CD, BW, VL */
     BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31),
     /* AVX512 VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ */
     BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14),
     /* AVX512 4VNNIW, 4FMAPS, VP2INTERSECT; AMX-BF16; AVX512-FP16; AMX-TILE, AMX-INT8 */
     BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25)},
    /* AVX-VNNI, AVX512-BF16, AMX-FP16, AVX-IFMA */
    {BIT(4) | BIT(5) | BIT(21) | BIT(23), 0, 0,
     /* AVX-VNNI-INT8, AVX-NE-CONVERT, AMX-COMPLEX, AVX-VNNI-INT16, AVX10 */
     BIT(4) | BIT(5) | BIT(8) | BIT(10) | BIT(19)},
};

static long enable_cpuid(int enabled)
{
    return syscall(SYS_arch_prctl, ARCH_SET_CPUID, (unsigned long)enabled);
}

/* ---- the handler, which is nobody else's ------------------------------------------------------------------------- */

static int set_handler(int number, const struct sigaction *action, struct sigaction *old)
{
    int (*next)(int, const struct sigaction *, struct sigaction *);
    *(void **)&next = dlsym(RTLD_NEXT, "sigaction");
    return next(number, action, old);
}

EXPORT int sigaction(int number, const struct sigaction *restrict action, struct sigaction *restrict old)
{
    return set_handler(number, number == SIGSEGV ? NULL : action, old);
}

EXPORT sighandler_t signal(int number, sighandler_t handler)
{
    struct sigaction old;
    const struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    return sigaction(number, &action, &old) ? SIG_ERR : old.sa_handler;
}

static void answer(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *at = (const unsigned char *)(uintptr_t)registers[REG_RIP];
    if (info->si_code != SI_KERNEL || at[0] != 0x0f || at[1] != 0xa2) { /* no CPUID */
        set_handler(number, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        raise(number);
        return;
    }
    const uint32_t leaf = (uint32_t)registers[REG_RAX], subleaf = (uint32_t)registers[REG_RCX];
    uint32_t value[4];
    enable_cpuid(1);
    __cpuid_count(leaf, subleaf, value[0], value[1], value[2], value[3]);
    enable_cpuid(0);
    for (int i = 0; i < 4 && leaf == FEATURES && subleaf < 2; i++) value[i] &= ~hidden[subleaf][i];
    registers[REG_RAX] = value[0], registers[REG_RBX] = value[1];
    registers[REG_RCX] = value[2], registers[REG_RDX] = value[3];
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void begin(void)
{
    const struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (set_handler(SIGSEGV, &action, NULL) == 0 && enable_cpuid(0) == 0) return;
    fputs("avx2_only: this CPU or kernel cannot let CPUID fault\n", stderr);
    exit(EXIT_FAILURE);
}
