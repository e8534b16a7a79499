/* SPDX-License-Identifier: Apache-2.0 */
/* Constant 2-D weights, seen through the chain that decompresses them:
 *
 *   Const -> [Convert] -> [Subtract zero point] -> [Multiply scale] -> [Reshape] -> [Convert] -> reader
 *   Const -> [Convert] -> FakeQuantize -> [Convert] -> reader
 *
 * as one matrix W[out, in] = (q - zero) * scale, computed in float. Nothing is copied: an inc_weight points into its
 * graph and is read row by row, by any number of threads. */
#ifndef INC_GRAPH_WEIGHT_H
#define INC_GRAPH_WEIGHT_H

#include "graph/graph.h"

/* A small constant that broadcasts over the weight. Its element for W[o, k] has index
 * o / out_inner * out_stride[0] + o % out_inner * out_stride[1] + the same of k with in_inner, in_stride. */
struct inc_weight_param {
    const struct inc_tensor *tensor; /* NULL: absent */
    int64_t out_stride[2], in_stride[2];
};

struct inc_weight {
    struct inc_node *constant;
    enum inc_type type; /* of the constant: f32 f16 bf16 i8 u8 i4 u4 */
    int64_t out, in;
    bool transposed;            /* stored [in, out] */
    int64_t out_inner, in_inner; /* inner sizes of a grouped constant ([out, groups, in_inner]) */
    struct inc_weight_param zero, scale;
    int64_t group; /* zero and scale change every `group` inputs; 0 = constant along a row */
    const struct inc_node *fake_quantize; /* FakeQuantize over a float constant, or NULL */
    struct inc_weight_param range[4];     /* its input low, high, output low, high */
};

/* Whether `value` (input of a MatMul, table of a Gather) is such a weight; types and shapes must be inferred.
 * `transpose`: the value's dims are [out, in] (MatMul input 1 with transpose_b, a Gather's table); else [in, out]. */
bool inc_weight_match(const struct inc_value *value, bool transpose, struct inc_weight *weight);

/* INCISE_ERROR_DATA, naming the layer and the place, for a NaN or infinite weight, scale or range, and for a zero point
 * that is no integer of the weight's type. The functions below need a weight that passed. */
enum incise_status inc_weight_check(const struct inc_graph *graph, const struct inc_weight *weight)
    __attribute__((warn_unused_result));

/* The same but for the weights themselves: of a file whose weights have passed before. */
enum incise_status inc_weight_check_params(const struct inc_graph *graph, const struct inc_weight *weight)
    __attribute__((warn_unused_result));
/* Whether both are the same numbers because they are made of the same bytes. */
bool inc_weight_same(const struct inc_weight *a, const struct inc_weight *b);

/* W[row, 0..in). */
void inc_weight_row_f32(const struct inc_weight *weight, int64_t row, float *out);
/* A weight whose rows are bytes times a scale each, as it lies in memory, for those who read single rows. */
struct inc_weight_bytes {
    const int8_t *bytes;            /* W[row, k] is bytes[row * in + k] times the row's scale; NULL: it is not such */
    const struct inc_tensor *scale; /* its element row * scale_step; NULL: 1 */
    size_t scale_step;
};
struct inc_weight_bytes inc_weight_bytes_of(const struct inc_weight *weight);
float inc_weight_bytes_scale(const struct inc_weight_bytes *rows, int64_t row);
/* An integer type with zero point and scale per tensor, per row, or per group of inputs in whole fours: what integer
 * kernels can multiply. */
bool inc_weight_is_integer(const struct inc_weight *weight);
/* q - zero of the row, exact; integer types only, groups included. */
void inc_weight_row_i16(const struct inc_weight *weight, int64_t row, int16_t *out);
/* The scale of W[row, k]; 1 if there is none. */
float inc_weight_scale(const struct inc_weight *weight, int64_t row, int64_t k);
/* The scale of the row's first group. */
float inc_weight_row_scale(const struct inc_weight *weight, int64_t row);
/* Whether every q - zero fits 4 bits, [-8, 7], by type and zero points alone. */
bool inc_weight_is_int4(const struct inc_weight *weight);
/* Index of the element behind W[row, k] in the constant, and in the parameter's tensor. */
size_t inc_weight_index(const struct inc_weight *weight, int64_t row, int64_t k);
size_t inc_weight_param_index(const struct inc_weight *weight, const struct inc_weight_param *param, int64_t row,
                              int64_t k);

#endif
