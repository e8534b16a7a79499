/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gemm/gemm_quads.h"

#include <stdlib.h>
#include <string.h>

/* k <= INC_QUADS_MAX_K keeps `size` in range whatever the values are. */
enum inc_quads_fault inc_quads_check_row(const int16_t *row, size_t k)
{
    uint64_t size = 0;
    for (size_t i = 0; i < k; i++) {
        if (row[i] < -255 || row[i] > 255) return INC_QUADS_RANGE;
        size += (uint64_t)(row[i] < 0 ? -row[i] : row[i]);
    }
    return size * 255 <= INT32_MAX ? INC_QUADS_FINE : INC_QUADS_OVERFLOW;
}

/* What one stored weight may hold of `rest`: bounded by its range and what is left of the pair's limits, which it uses
 * up. */
static int take_part(const struct inc_quads *quads, int rest, int *positive, int *negative)
{
    if (rest >= 0) {
        const int part = rest < quads->high ? rest : quads->high;
        const int taken = part < *positive ? part : *positive;
        *positive -= taken;
        return taken;
    }
    const int part = rest > quads->low ? -rest : -quads->low;
    const int taken = part < *negative ? part : *negative;
    *negative -= taken;
    return -taken;
}

/* Moves as much of a quad as one stored quad may hold from `rest` to `part`, both [nr][4]. False when the quad is all
 * zero, and done. */
static bool split_quad(const struct inc_quads *quads, int16_t *rest, int8_t *part)
{
    int any = 0;
    for (size_t pair = 0; pair < quads->nr * 4; pair += 2) {
        int positive = quads->pair_limit, negative = quads->pair_limit;
        for (size_t i = pair; i < pair + 2; i++) {
            any |= rest[i];
            const int taken = take_part(quads, rest[i], &positive, &negative);
            part[i] = (int8_t)taken;
            rest[i] = (int16_t)(rest[i] - taken);
        }
    }
    return any != 0;
}

size_t inc_quads_store(const struct inc_quads *quads, const int16_t *rows, size_t stride, size_t begin, size_t end,
                       int8_t *w, uint16_t *index)
{
    int16_t rest[INC_QUADS_MAX_NR * 4];
    int8_t part[INC_QUADS_MAX_NR * 4];
    size_t n = 0;
    for (size_t k = begin; k < end; k += 4) {
        for (size_t j = 0; j < quads->nr; j++) memcpy(rest + 4 * j, rows + j * stride + k, 4 * sizeof *rest);
        for (; split_quad(quads, rest, part); n++) {
            if (!w) continue;
            memcpy(w + n * quads->nr * 4, part, quads->nr * 4);
            index[n] = (uint16_t)(k / 4);
        }
    }
    return n;
}

static bool is_four(const uint16_t *index, size_t n)
{
    return n >= 4 && index[1] == index[0] + 1 && index[2] == index[0] + 2 && index[3] == index[0] + 3;
}

/* Whether the two quads at w are light, for a kernel that cares. */
static bool is_light(const struct inc_quads *quads, const int8_t *w)
{
    const size_t bytes = quads->nr * 4;
    if (!quads->light_and_halves) return false;
    for (size_t pair = 0; pair < bytes; pair += 2) {
        const int of_both[4] = {w[pair], w[pair + 1], w[pair + bytes], w[pair + 1 + bytes]};
        int sum = 0, size = 0;
        for (size_t i = 0; i < 4; i++) sum += of_both[i], size += abs(of_both[i]);
        if ((size + abs(sum)) / 2 > quads->pair_limit) return false;
    }
    return true;
}

/* Of whole quads, as they are stored. */
enum kind { LIGHT_FOUR, FOUR, LOOSE, N_KINDS };

static enum kind kind_of(const struct inc_quads *quads, const int8_t *w, const uint16_t *index, size_t n)
{
    if (!is_four(index, n)) return LOOSE;
    return is_light(quads, w) && is_light(quads, w + 2 * (size_t)quads->nr * 4) ? LIGHT_FOUR : FOUR;
}

/* 0 or 1: only that half has weights; 2: it is whole. */
static size_t side_of(const struct inc_quads *quads, const int8_t *w)
{
    static const int8_t zeros[INC_QUADS_MAX_NR * 2];
    const size_t half = quads->nr * 2;
    if (!quads->light_and_halves) return 2;
    if (memcmp(w + half, zeros, half) == 0) return 0;
    return memcmp(w, zeros, half) == 0 ? 1 : 2;
}

struct inc_quads_order inc_quads_sides(const struct inc_quads *quads, size_t n, const int8_t *w)
{
    size_t counts[3] = {0};
    for (size_t i = 0; i < n; i++) counts[side_of(quads, w + i * quads->nr * 4)]++;
    return (struct inc_quads_order){.whole = counts[2], .half = {counts[0], counts[1]}};
}

/* Copies the halves to where they belong; the whole quads stay, side by side. */
static void sort_halves(const struct inc_quads *quads, size_t n, int8_t *w, uint16_t *index, int8_t *w_out,
                        uint16_t *index_out, const struct inc_quads_order *order)
{
    const size_t bytes = quads->nr * 4;
    size_t at[3] = {0, order->half[0], 0};
    for (size_t i = 0; i < n; i++) {
        const size_t side = side_of(quads, w + i * bytes), to = at[side]++;
        if (side == 2) {
            memmove(w + to * bytes, w + i * bytes, bytes);
            index[to] = index[i];
        } else {
            memcpy(w_out + order->whole * bytes + to * bytes / 2, w + i * bytes + side * bytes / 2, bytes / 2);
            index_out[order->whole + to] = index[i];
        }
    }
}

void inc_quads_sort(const struct inc_quads *quads, size_t n, int8_t *w, uint16_t *index, int8_t *w_out,
                    uint16_t *index_out, struct inc_quads_order *order)
{
    const size_t bytes = quads->nr * 4;
    size_t stored = 0, ends[N_KINDS];
    sort_halves(quads, n, w, index, w_out, index_out, order);
    for (enum kind kind = 0; kind < N_KINDS; ends[kind++] = stored) {
        for (size_t i = 0, step; i < order->whole; i += step) {
            const enum kind own = kind_of(quads, w + i * bytes, index + i, order->whole - i);
            step = own == LOOSE ? 1 : 4;
            if (own != kind) continue;
            memcpy(w_out + stored * bytes, w + i * bytes, step * bytes);
            memcpy(index_out + stored, index + i, step * sizeof *index);
            stored += step;
        }
    }
    order->light = ends[LIGHT_FOUR] / 4;
    order->fours = ends[FOUR] / 4;
}

bool inc_quads_check(const uint16_t *index, const struct inc_quads_order *order, size_t k)
{
    if (order->fours > order->whole / 4 || order->light > order->fours) return false;
    for (size_t i = 0; i < inc_quads_count(order); i++)
        if (index[i] * (size_t)4 >= k) return false;
    for (size_t i = 0; i < order->fours; i++)
        if (!is_four(index + 4 * i, 4)) return false;
    return true;
}
