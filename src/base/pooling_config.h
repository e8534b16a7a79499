/* SPDX-License-Identifier: Apache-2.0 */
/* The config.json of sentence-transformers' Pooling module: how token vectors become the vector of a text. */
#ifndef INC_BASE_POOLING_CONFIG_H
#define INC_BASE_POOLING_CONFIG_H

#include "base/json.h"

enum inc_pooling_mode {
    INC_POOLING_MEAN,
    INC_POOLING_CLS,
    INC_POOLING_LAST,
    INC_POOLING_MAX,
    INC_POOLING_MEAN_SQRT_LEN /* the sum over the square root of the number */
};

struct inc_pooling {
    enum inc_pooling_mode mode;
    int64_t dimension;   /* of the token vectors; 0 if not given */
    bool include_prompt; /* false: the prompt's tokens are left out */
};

/* Both forms: a flag per mode (pooling_mode_cls_token, word_embedding_dimension), and since 5.x `pooling_mode` with
 * `embedding_dimension`. A mode other than those above, none, or several at once is INCISE_ERROR_DATA. */
enum incise_status inc_pooling_read(const struct inc_json *json, struct inc_pooling *pooling)
    __attribute__((warn_unused_result));
/* "mean", "cls", "last", "max", "mean_sqrt_len". */
const char *inc_pooling_name(enum inc_pooling_mode mode);
bool inc_pooling_parse(const char *name, enum inc_pooling_mode *mode);

#endif
