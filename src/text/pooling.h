/* SPDX-License-Identifier: Apache-2.0 */
/* How token vectors become the vector of a text: finding the configuration, and doing it. */
#ifndef INC_TEXT_POOLING_H
#define INC_TEXT_POOLING_H

#include "base/pooling_config.h"

/* Reads `folder`/1_Pooling/config.json. Without that file *found is false and *pooling is the default, the mean. */
enum incise_status inc_pooling_load(const struct inc_ctx *ctx, const char *folder, struct inc_pooling *pooling,
                                    bool *found) __attribute__((warn_unused_result));

/* The vector of a text: `n` > 0 rows of its real tokens, `width` numbers each, become one of `width` doubles. */
void inc_pooling_apply(enum inc_pooling_mode mode, const float *rows, size_t n, size_t width, double *vector);

#endif
