/* SPDX-License-Identifier: Apache-2.0 */
/* Small encoders built op by op, with inputs input_ids, attention_mask and token_type_ids [batch, length]. */
#ifndef TESTS_ENCODER_H
#define TESTS_ENCODER_H

#include "graph/graph.h"
#include "support/support.h"

enum { ENCODER_VOCABULARY = 20, ENCODER_WIDTH = 16, ENCODER_HEADS = 2 };

struct encoder {
    struct inc_graph *graph;
    struct inc_value *ids, *mask, *types;
    struct inc_value *x; /* embeddings [batch, length, ENCODER_WIDTH] */
    uint64_t random;
};

void encoder_start(struct encoder *encoder);
/* Adds the Result and infers types and shapes; the test fails if they cannot be. The caller destroys the graph. */
void encoder_finish(struct encoder *encoder, struct inc_value *output);

/* A node's first output. `inputs`: as many as are not NULL. */
struct inc_value *encoder_op(struct encoder *encoder, enum inc_op op, struct inc_value *a, struct inc_value *b,
                             struct inc_value *c);
struct inc_value *encoder_ints(struct encoder *encoder, size_t n, const int64_t *values); /* i64 [n] */
struct inc_value *encoder_int(struct encoder *encoder, int64_t value);                    /* i64 scalar */
struct inc_value *encoder_float(struct encoder *encoder, double value);                   /* f32 scalar */
/* f32 [dims], random in [-0.5, 0.5]. */
struct inc_value *encoder_weights(struct encoder *encoder, int rank, const int64_t *dims);
struct inc_value *encoder_convert(struct encoder *encoder, struct inc_value *value, enum inc_type type);
struct inc_value *encoder_unsqueeze(struct encoder *encoder, struct inc_value *value, size_t n, const int64_t *axes);
/* The length as an i64 scalar. */
struct inc_value *encoder_length(struct encoder *encoder);
/* x W^T with random W [width, ENCODER_WIDTH]. */
struct inc_value *encoder_linear(struct encoder *encoder, struct inc_value *x, int64_t width);
/* q, k, v of x, attention with `mask` (NULL: none), heads joined, and a Linear. */
struct inc_value *encoder_attention(struct encoder *encoder, struct inc_value *x, struct inc_value *mask);

/* Forms of masks. */
struct encoder_mask {
    bool padding, causal;
    int64_t window;          /* |i - j| < window; 0: none */
    int64_t all_visible_below; /* at lengths below it, rules other than padding do not hold; 0: none */
    bool additive;           /* 0 and the lowest f32, else boolean */
};
struct inc_value *encoder_mask(struct encoder *encoder, const struct encoder_mask *form);

#endif
