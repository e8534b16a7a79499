/* SPDX-License-Identifier: Apache-2.0 */
/* Data of constants. The .bin is one blob that constants point into; ranges that lie at an odd address for their
 * element type are copied, once each, into a second blob. So is, of a .bin that is mapped, all that is not a matrix of
 * weights: numbers that shapes and addresses depend on must not change behind a check. */
#include "formats/openvino/ir_reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "graph/shape.h"

/* Distinct ranges of real files do not overlap. They may here, but what they claim together is bounded, so that
 * reading, copying and writing stay linear in the file's size. */
#define MAX_CLAIM 4

bool inc_ir_needs_weights(const struct inc_ir_reader *reader)
{
    for (size_t i = 0; i < reader->n_constants; i++)
        if (reader->constants[i].needed > 0) return true;
    return false;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct inc_ir_constant *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    if (x->needed != y->needed) return x->needed < y->needed ? -1 : 1;
    return x->in_place < y->in_place ? -1 : x->in_place > y->in_place;
}

static bool same_range(const struct inc_ir_constant *a, const struct inc_ir_constant *b)
{
    return a->offset == b->offset && a->needed == b->needed;
}

#define LEAST_MAPPED ((size_t)64 << 10) /* bytes */

static bool stays_mapped(const struct inc_ir_constant *constant)
{
    const struct inc_tensor *data = &constant->node->data;
    return data->rank >= 2 && inc_type_is_weight(data->type) && constant->needed >= LEAST_MAPPED;
}

static enum incise_status check_ranges(struct inc_ir_reader *reader, const struct inc_file *bin)
{
    const size_t bin_size = bin->size;
    for (size_t i = 0; i < reader->n_constants; i++) {
        struct inc_ir_constant *constant = &reader->constants[i];
        size_t element = inc_max_size(inc_type_bits(constant->node->data.type) / 8, 1);
        constant->in_place = constant->needed == 0 ||
                             (constant->offset % element == 0 && (!bin->mapped || stays_mapped(constant)));
        if (constant->needed == 0) continue;
        if (constant->size > bin_size || constant->offset > bin_size - constant->size)
            return inc_node_fail(reader->graph, constant->node,
                                 "(line %lu) %llu bytes at offset %llu lie outside the weights of %zu bytes",
                                 constant->line, (unsigned long long)constant->size,
                                 (unsigned long long)constant->offset, bin_size);
    }
    return INCISE_OK;
}

/* The sum of all distinct ranges, and of those that must be copied, each at a multiple of INC_ALIGN. `constants` is
 * sorted. */
static enum incise_status measure(const struct inc_ir_reader *reader, size_t bin_size, size_t *copied)
{
    size_t claimed = 0, limit;
    *copied = 0;
    if (!inc_size_mul(bin_size, MAX_CLAIM, &limit)) limit = SIZE_MAX;
    for (size_t i = 0; i < reader->n_constants; i++) {
        const struct inc_ir_constant *constant = &reader->constants[i];
        if (i > 0 && same_range(constant, constant - 1)) continue;
        if (!inc_size_add(claimed, constant->needed, &claimed) || claimed > limit)
            return inc_fail(reader->ctx, INCISE_ERROR_DATA,
                            "%s: ranges of constants overlap: they claim more than %d times "
                            "the %zu bytes of the weights",
                            reader->source, MAX_CLAIM, bin_size);
        if (!constant->in_place) *copied += inc_round_up(constant->needed, INC_ALIGN);
    }
    return INCISE_OK;
}

/* Booleans are 0 or 1. Each distinct range is looked at once. */
static enum incise_status check_booleans(const struct inc_ir_reader *reader)
{
    bool checked = false;
    for (size_t i = 0; i < reader->n_constants; i++) {
        const struct inc_ir_constant *constant = &reader->constants[i];
        if (i > 0 && !same_range(constant, constant - 1)) checked = false;
        if (checked || constant->needed == 0 || constant->node->data.type != INC_BOOL) continue;
        checked = true;
        const unsigned char *data = constant->node->data.data;
        for (size_t k = 0; k < constant->needed; k++)
            if (data[k] > 1)
                return inc_node_fail(reader->graph, constant->node, "element %zu is %d; booleans are 0 or 1", k,
                                     data[k]);
    }
    return INCISE_OK;
}

/* Constants that are copied come first in their range (compare_ranges), so that the copy is known. */
static void point_constants(const struct inc_ir_reader *reader, const struct inc_file *file, unsigned char *copies)
{
    unsigned char *bin = file->data;
    const unsigned char *copy = NULL;
    for (size_t i = 0; i < reader->n_constants; i++) {
        const struct inc_ir_constant *constant = &reader->constants[i];
        if (constant->needed == 0) {
            constant->node->data.data = bin;
        } else if (constant->in_place) {
            constant->node->data.data = bin + constant->offset;
        } else {
            if (i == 0 || !same_range(constant, constant - 1)) {
                copy = memcpy(copies, bin + constant->offset, constant->needed);
                copies += inc_round_up(constant->needed, INC_ALIGN);
            }
            constant->node->data.data = (void *)(uintptr_t)copy;
        }
    }
}

/* A scale, bias or list of channels; matrices are checked where they become weights. */
static bool is_float_vector(const struct inc_tensor *data)
{
    int64_t longest = 1;
    for (int d = 0; d < data->rank; d++) {
        if (data->dims[d] != 1 && longest != 1) return false;
        longest *= data->dims[d];
    }
    return inc_type_is_float(data->type) && longest >= 1;
}

/* Infinities are fine: masks are made of them. */
static enum incise_status check_vectors(const struct inc_ir_reader *reader)
{
    bool checked = false;
    for (size_t i = 0; i < reader->n_constants; i++) {
        const struct inc_ir_constant *constant = &reader->constants[i];
        const struct inc_tensor *data = &constant->node->data;
        if (i > 0 && (!same_range(constant, constant - 1) || constant[-1].node->data.type != data->type))
            checked = false;
        if (checked || !is_float_vector(data)) continue;
        checked = true;
        for (size_t k = 0, n = inc_tensor_elements(data); k < n; k++)
            if (isnan(inc_tensor_get_f64(data, k)))
                return inc_node_fail(reader->graph, constant->node, "element %zu is not a number", k);
    }
    return INCISE_OK;
}

enum incise_status inc_ir_attach_weights(struct inc_ir_reader *reader, struct inc_file *bin)
{
    static const struct inc_file nothing;
    struct inc_file held = *bin, copies = nothing;
    *bin = nothing;
    if (held.data == NULL) { /* constants without elements point somewhere */
        held = (struct inc_file){.data = inc_alloc_zero(reader->ctx, 1, INC_ALIGN)};
        if (held.data == NULL) return inc_fail_memory(reader->ctx, INC_ALIGN, reader->source);
    }
    INC_TRY(inc_graph_hold_file(reader->graph, &held));
    INC_TRY(check_ranges(reader, &held));
    if (reader->n_constants > 1)
        qsort(reader->constants, reader->n_constants, sizeof *reader->constants, compare_ranges);
    INC_TRY(measure(reader, held.size, &copies.size));
    if (copies.size > 0) {
        copies.data = inc_alloc(reader->ctx, copies.size);
        if (copies.data == NULL) return inc_fail_memory(reader->ctx, copies.size, "copies of constants");
        INC_TRY(inc_graph_hold_file(reader->graph, &copies));
    }
    point_constants(reader, &held, copies.data);
    INC_TRY(check_booleans(reader));
    return check_vectors(reader);
}
