/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INC_KERNELS_UNROLL_H
#define INC_KERNELS_UNROLL_H

/* Before a loop over the accumulators of a tile: unrolls it whole, so that they live in registers. The trip count is a
 * compile-time constant of at most 32 after inlining. */
#ifdef __clang__
#define INC_UNROLL _Pragma("clang loop unroll(full)")
#else
#define INC_UNROLL _Pragma("GCC unroll 32")
#endif

#endif
