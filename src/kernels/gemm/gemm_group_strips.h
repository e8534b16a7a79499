/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel files of gemm_group have in common, behind their NR. */
#ifndef INC_KERNELS_GEMM_GROUP_STRIPS_H
#define INC_KERNELS_GEMM_GROUP_STRIPS_H

#include "kernels/gemm/gemm_group.h"

#define STRIP struct inc_gemm_group_strip

static inline size_t strip_bytes(const struct inc_gemm_group_strip *strip)
{
    return strip->bytes;
}

static inline size_t strip_steps(const struct inc_gemm_group_strip *strip)
{
    return strip->n_steps;
}

/* A group of a strip: its quads. Which of them are light is not known. */
struct group {
    const uint8_t *w;
    const uint16_t *k;
    struct inc_quads_order order;
};

static inline struct group group_of(const struct inc_gemm_group_strip *strip, size_t g, const unsigned bits)
{
    const size_t begin = g ? strip->ends[g - 1] : 0;
    return (struct group){.w = strip->w + begin * NR * bits / 2, .k = strip->k + begin,
                          .order = {.fours = strip->n_fours[g], .whole = strip->ends[g] - begin}};
}

#endif
