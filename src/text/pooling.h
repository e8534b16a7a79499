/* SPDX-License-Identifier: Apache-2.0 */
/* How token vectors become the vector of a text: sentence-transformers' 1_Pooling/config.json. */
#ifndef INC_TEXT_POOLING_H
#define INC_TEXT_POOLING_H

#include "base/context.h"

enum inc_pooling_mode {
    INC_POOLING_MEAN,
    INC_POOLING_CLS,
    INC_POOLING_LAST,
    INC_POOLING_MAX,
    INC_POOLING_MEAN_SQRT_LEN /* the sum over the square root of the number */
};

struct inc_pooling {
    enum inc_pooling_mode mode;
    int64_t dimension;   /* word_embedding_dimension; 0 if not given */
    bool include_prompt; /* false: the prompt's tokens are left out */
};

/* Reads `folder`/1_Pooling/config.json. Without that file *found is false and *pooling is the default, the mean. A mode
 * other than these, or several at once, is INCISE_ERROR_DATA. */
enum incise_status inc_pooling_load(const struct inc_ctx *ctx, const char *folder, struct inc_pooling *pooling,
                                    bool *found) __attribute__((warn_unused_result));
/* "mean", "cls", "last", "max", "mean_sqrt_len". */
const char *inc_pooling_name(enum inc_pooling_mode mode);
bool inc_pooling_parse(const char *name, enum inc_pooling_mode *mode);

/* The vector of a text: `n` > 0 rows of its real tokens, `width` numbers each, become one of `width` doubles. */
void inc_pooling_apply(enum inc_pooling_mode mode, const float *rows, size_t n, size_t width, double *vector);

#endif
