/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gemm/gemm_quads.h"

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

size_t inc_quads_order(const struct inc_quads *quads, size_t n, const int8_t *w, const uint16_t *index, int8_t *w_out,
                       uint16_t *index_out)
{
    const size_t bytes = quads->nr * 4;
    size_t n_fours = 0, stored = 0;
    for (int fours = 1; fours >= 0; fours--) {
        for (size_t i = 0, step; i < n; i += step) {
            const bool four = is_four(index + i, n - i);
            step = four ? 4 : 1;
            if (four != (fours == 1)) continue;
            memcpy(w_out + stored * bytes, w + i * bytes, step * bytes);
            memcpy(index_out + stored, index + i, step * sizeof *index);
            stored += step;
            n_fours += four;
        }
    }
    return n_fours;
}

bool inc_quads_check(const uint16_t *index, size_t n, size_t n_fours, size_t k)
{
    if (n_fours > n / 4) return false;
    for (size_t i = 0; i < n; i++)
        if (index[i] * (size_t)4 >= k) return false;
    for (size_t i = 0; i < n_fours; i++)
        if (!is_four(index + 4 * i, 4)) return false;
    return true;
}
