/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INC_KERNELS_GEMM_SLAB_H
#define INC_KERNELS_GEMM_SLAB_H

#include "base/size.h"

/* Rows, of lda bytes, whose A and C stay in L2, and in the TLB, while all strips pass over them; a strip stays in L1
 * meanwhile. Whole tiles of mr rows. */
static inline size_t inc_slab_rows(size_t mr, size_t lda)
{
    const size_t tiles_that_fit = (size_t)(32 << 10) / (mr * lda);
    return mr * inc_max_size(tiles_that_fit, 1);
}

#endif
