/* SPDX-License-Identifier: Apache-2.0 */
/* How integer weights become quads: what packing gemm_i8 and gemm_group have in common. A quad is four consecutive
 * inputs of the nr outputs of a strip, [nr][4]; it is stored when it is not all zero.
 *
 * Exactness by splitting. What a stored quad may hold is limited: each weight to [low, high], and for each pair (k,
 * k + 1) of an output the positive weights, and the negative ones, to a sum of pair_limit in size: 128 for kernels
 * that multiply with vpmaddubsw, since 255 * 128 fits s16, so that nothing saturates. What exceeds a limit goes into
 * further quads with the same inputs (w = w' + w''), and sum_k a * w is the same. Usual weights need few of them;
 * the worst case of s8 weights doubles a strip's quads, of [-255, 255] quadruples them.
 *
 * Light twos. Where even the same pairs of two quads together keep the limit, a kernel may add their products in 16
 * bits. Weights of 7 bits mostly do, of 8 bits seldom.
 *
 * Halves. Where only the first or only the last nr / 2 outputs of a quad have weights, as in most that repeat one and
 * under masks of few outputs, that half alone may be stored, [nr / 2][4]. */
#ifndef INC_KERNELS_GEMM_QUADS_H
#define INC_KERNELS_GEMM_QUADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INC_QUADS_MAX_NR 32u
#define INC_QUADS_NO_LIMIT 510 /* of pairs: two weights of 255 */
#define INC_QUADS_MAX_K  65536u /* quads are numbered in 16 bits; sums of s8 weights fit 32 */

struct inc_quads {
    unsigned nr;
    int low, high;         /* of a stored weight */
    int pair_limit;        /* or INC_QUADS_NO_LIMIT */
    bool light_and_halves; /* whether the kernel knows these */
};

enum inc_quads_fault { INC_QUADS_FINE, INC_QUADS_RANGE, INC_QUADS_OVERFLOW };

/* Whether all of the row's k weights lie in [-255, 255], and 255 * sum |w| <= INT32_MAX: this bounds every partial
 * sum of u8 activations, a_zero * sum w, and their difference. */
enum inc_quads_fault inc_quads_check_row(const int16_t *row, size_t k);

/* The quads of inputs [begin, end), multiples of 4, of `rows` [nr][stride]: returns their number and, unless w is NULL,
 * stores them at w, and the number of each (k / 4) at `index`. */
size_t inc_quads_store(const struct inc_quads *quads, const int16_t *rows, size_t stride, size_t begin, size_t end,
                       int8_t *w, uint16_t *index);

/* Quads in the order that kernels like. First the whole ones: of them the first 4 * fours are fours with consecutive
 * numbers, whose inputs lie side by side, and the first 4 * light of these are two light twos each. Then first halves,
 * then last halves. */
struct inc_quads_order {
    size_t light, fours, whole, half[2];
};

static inline size_t inc_quads_count(const struct inc_quads_order *order)
{
    return order->whole + order->half[0] + order->half[1];
}

/* Of the weights of quads in order. */
static inline size_t inc_quads_bytes(size_t nr, const struct inc_quads_order *order)
{
    return nr * 4 * order->whole + nr * 2 * (order->half[0] + order->half[1]);
}

/* How many of the n quads at w are whole, and how many are halves; their order is not known yet. */
struct inc_quads_order inc_quads_sides(const struct inc_quads *quads, size_t n, const int8_t *w);

/* Copies these n quads in order, and uses up what stands at w and index. */
void inc_quads_sort(const struct inc_quads *quads, size_t n, int8_t *w, uint16_t *index, int8_t *w_out,
                    uint16_t *index_out, struct inc_quads_order *order);

/* Of a tile: n whole quads in fours, neighbours or not, and the rest one by one. */
static inline size_t inc_quads_steps(size_t n)
{
    return n / 4 + n % 4;
}

/* Whether `index` may come from there: quads of a row of k inputs. */
bool inc_quads_check(const uint16_t *index, const struct inc_quads_order *order, size_t k);

#endif
