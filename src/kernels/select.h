/* SPDX-License-Identifier: Apache-2.0 */
/* How a kernel is chosen. */
#ifndef INC_KERNELS_SELECT_H
#define INC_KERNELS_SELECT_H

#include <stddef.h>

/* The functions inc_<family>_kernels (all versions) and inc_<family>_select (the last one that has the instructions,
 * if need be the first) over the table `kernels` of struct inc_<family>_kernel, in rising order of isa. */
#define INC_KERNEL_FAMILY(family)                                                                                      \
    const struct inc_##family##_kernel *inc_##family##_kernels(size_t *n)                                              \
    {                                                                                                                  \
        *n = sizeof kernels / sizeof kernels[0];                                                                       \
        return kernels;                                                                                                \
    }                                                                                                                  \
    const struct inc_##family##_kernel *inc_##family##_select(enum incise_isa isa)                                     \
    {                                                                                                                  \
        const struct inc_##family##_kernel *best = kernels;                                                            \
        for (size_t i = 1; i < sizeof kernels / sizeof kernels[0]; i++)                                                \
            if (kernels[i].isa <= isa) best = &kernels[i];                                                             \
        return best;                                                                                                   \
    }                                                                                                                  \
    _Static_assert(sizeof kernels > 0, "a family has versions")

#endif
