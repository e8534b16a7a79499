/* SPDX-License-Identifier: Apache-2.0 */
/* How integer weights become quads: what packing gemm_i8 and gemm_group have in common. A quad is four consecutive
 * inputs of the nr outputs of a strip, [nr][4]; it is stored when it is not all zero.
 *
 * Exactness by splitting. What a stored quad may hold is limited: each weight to [low, high], and for each pair (k,
 * k + 1) of an output the positive weights, and the negative ones, to a sum of pair_limit in size: 128 for kernels
 * that multiply with vpmaddubsw, since 255 * 128 fits s16, so that nothing saturates. What exceeds a limit goes into
 * further quads with the same inputs (w = w' + w''), and sum_k a * w is the same. Usual weights need few of them;
 * the worst case of s8 weights doubles a strip's quads, of [-255, 255] quadruples them. */
#ifndef INC_KERNELS_GEMM_QUADS_H
#define INC_KERNELS_GEMM_QUADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INC_QUADS_MAX_NR 32u
#define INC_QUADS_MAX_K  65536u /* quads are numbered in 16 bits; sums of s8 weights fit 32 */

struct inc_quads {
    unsigned nr;
    int low, high;  /* of a stored weight */
    int pair_limit; /* 510 is no limit */
};

enum inc_quads_fault { INC_QUADS_FINE, INC_QUADS_RANGE, INC_QUADS_OVERFLOW };

/* Whether all of the row's k weights lie in [-255, 255], and 255 * sum |w| <= INT32_MAX: this bounds every partial
 * sum of u8 activations, a_zero * sum w, and their difference. */
enum inc_quads_fault inc_quads_check_row(const int16_t *row, size_t k);

/* The quads of inputs [begin, end), multiples of 4, of `rows` [nr][stride]: returns their number and, unless w is NULL,
 * stores them at w, and the number of each (k / 4) at `index`. */
size_t inc_quads_store(const struct inc_quads *quads, const int16_t *rows, size_t stride, size_t begin, size_t end,
                       int8_t *w, uint16_t *index);

/* Copies n quads in an order that kernels like: first fours with consecutive numbers, whose inputs lie side by side,
 * then the rest. Returns the number of fours. */
size_t inc_quads_order(const struct inc_quads *quads, size_t n, const int8_t *w, const uint16_t *index, int8_t *w_out,
                       uint16_t *index_out);

/* Of a tile: n quads in fours, neighbours or not, and the rest one by one. */
static inline size_t inc_quads_steps(size_t n)
{
    return n / 4 + n % 4;
}

/* Whether `index` may come from there: n quads of a row of k inputs, the first 4 * n_fours of them fours. */
bool inc_quads_check(const uint16_t *index, size_t n, size_t n_fours, size_t k);

#endif
