/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/blocks.h"

#include <stdlib.h>
#include <string.h>

static int by_loss(const void *a, const void *b)
{
    const struct inc_removal *x = a, *y = b;
    if (x->loss != y->loss) return x->loss < y->loss ? -1 : 1;
    return x->block < y->block ? -1 : x->block > y->block;
}

void inc_removals_sort(struct inc_removal *removals, size_t n)
{
    qsort(removals, n, sizeof *removals, by_loss);
}

/* Writes logical zero over element W[row, k]. */
static void put_zero(const struct inc_weight *weight, unsigned char *data, int64_t row, int64_t k)
{
    size_t at = inc_weight_index(weight, row, k);
    int zero = 0;
    if (weight->zero.tensor != NULL)
        zero = (int)inc_tensor_get_i64(weight->zero.tensor, inc_weight_param_index(weight, &weight->zero, row, k));
    unsigned bits = inc_type_bits(weight->type);
    if (bits == 4) {
        unsigned shift = at % 2 * 4;
        data[at / 2] = (unsigned char)((data[at / 2] & ~(15u << shift)) | (unsigned)(zero & 15) << shift);
    } else if (bits == 8) {
        data[at] = (unsigned char)zero;
    } else {
        memset(data + at * (bits / 8), 0, bits / 8);
    }
}

void inc_blocks_zero(const struct inc_blocks *blocks, const struct inc_weight *weight, const bool *chosen,
                     unsigned char *data)
{
    for (int64_t r = 0; r < weight->out; r++) {
        const bool *row = chosen + (size_t)r / blocks->height * blocks->across;
        for (int64_t k = 0; k < weight->in; k++)
            if (row[(size_t)k / blocks->width]) put_zero(weight, data, r, k);
    }
}
