/* SPDX-License-Identifier: Apache-2.0 */
/* bench_kernels: rates of single kernels on one thread; see usage(). */
#include "bench.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double bench_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

uint32_t bench_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

void *bench_alloc(struct bench *bench, size_t n, size_t size)
{
    void *memory = inc_alloc_zero(&bench->ctx, n, size);
    if (memory) return memory;
    fprintf(stderr, "bench_kernels: out of memory\n");
    exit(INCISE_ERROR_MEMORY);
}

float *bench_random_floats(struct bench *bench, size_t n, uint64_t seed)
{
    float *x = bench_alloc(bench, n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (float)(bench_random(&seed) % 2001) * 1e-3f - 1.0f;
    return x;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare);
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

bool bench_wants(const struct bench *bench, const char *family)
{
    for (size_t i = 0; i < bench->n_families; i++)
        if (strcmp(bench->families[i], family) == 0) return true;
    return bench->n_families == 0;
}

static int usage(FILE *to)
{
    fputs("usage: bench_kernels [-m 1,4096] [-s 768x768,768x1152] [-i avx2] [-r ROUNDS] [-p] [FAMILY...]\n"
          "Rates of single kernels on one thread. Families: f32 i8 i8-g32 i8-g128 i4-g32 i4-g64 i4-g128\n"
          "(products; -gN: a scale per N inputs), attention, rows; all of them without FAMILY. Beside f32 and\n"
          "i8 run OpenBLAS and, if it was found when this was built, oneDNN.\n"
          "  -m  rows of the input\n"
          "  -s  weights, outputs x inputs\n"
          "  -i  the last instruction set: avx2, avx512, vnni, bf16\n"
          "  -r  rounds (15), of which the median and the best are printed\n"
          "  -p  masked weights too: 10 to 90 % zero in blocks of 32 x 32, 4 and 1\n",
          to);
    return to == stdout ? 0 : INCISE_ERROR_USAGE;
}

/* "1,16" or "768x768,768x1152": pairs when `second` is not NULL. 0 if it is no such list. */
static size_t parse_list(const char *text, size_t *first, size_t *second, size_t stride)
{
    size_t n = 0;
    for (char *end; n < BENCH_MAX_LIST; text = end + 1) {
        first[n * stride] = strtoul(text, &end, 10);
        if (second && *end == 'x') second[n * stride] = strtoul(end + 1, &end, 10);
        if (first[n * stride] == 0 || (second && second[n * stride] == 0)) return 0;
        n++;
        if (*end == '\0') return n;
        if (*end != ',') return 0;
    }
    return 0;
}

static bool parse(struct bench *bench, int argc, char **argv)
{
    for (int option; (option = getopt(argc, argv, "m:s:i:r:p")) != -1;) {
        switch (option) {
        case 'm': bench->n_ms = parse_list(optarg, bench->ms, NULL, 1); break;
        case 's': bench->n_shapes = parse_list(optarg, &bench->shapes->n, &bench->shapes->k, 2); break;
        case 'r': bench->rounds = strtoul(optarg, NULL, 10); break;
        case 'p': bench->patterns = true; break;
        case 'i':
            while (bench->isa > INCISE_ISA_SCALAR && strcmp(incise_isa_name(bench->isa), optarg) != 0) bench->isa--;
            break;
        default: return false;
        }
    }
    for (; optind < argc && bench->n_families < BENCH_MAX_LIST; optind++)
        bench->families[bench->n_families++] = argv[optind];
    return bench->n_ms && bench->n_shapes && bench->rounds;
}

int main(int argc, char **argv)
{
    struct bench bench = {.isa = incise_isa_detect(), .rounds = 15, .n_ms = 2, .n_shapes = 2,
                          .ms = {1, 4096}, .shapes = {{768, 768}, {768, 1152}}};
    inc_ctx_init(&bench.ctx);
    if (!parse(&bench, argc, argv)) return usage(stderr);
    if (bench.isa == INCISE_ISA_SCALAR) {
        fprintf(stderr, "bench_kernels: no such instruction set here\n");
        return INCISE_ERROR_NO_DEVICE;
    }
    bench_gemm(&bench);
    bench_attention(&bench);
    bench_rows(&bench);
    return 0;
}
