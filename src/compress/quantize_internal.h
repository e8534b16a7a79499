/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of `quantize`. */
#ifndef INC_COMPRESS_QUANTIZE_INTERNAL_H
#define INC_COMPRESS_QUANTIZE_INTERNAL_H

#include "compress/calibration.h"
#include "compress/changes.h"
#include "compress/codes.h"
#include "compress/distribution.h"
#include "compress/targets.h"

enum inc_round_method { INC_ROUND_NEAREST, INC_ROUND_SEARCH, INC_ROUND_GPTQ };

/* What the options ask for. */
struct inc_quantize_request {
    struct inc_grid linears, tables;
    enum inc_round_method round;
    bool static_activations;
    enum inc_range range; /* of static activations */
    incise_progress_fn *progress;
    void *progress_user;
};

/* One run of `quantize`. */
struct inc_quantizing {
    struct inc_graph *graph;
    struct inc_pool *pool;
    const struct inc_quantize_request *request;
    const struct inc_targets *targets;
    bool *done; /* per target: quantized, perhaps together with another one */
    struct incise_changes *changes;
    size_t n_done;
};

static inline bool inc_target_is_quantized(const struct inc_target *target)
{
    return !inc_type_is_float(target->weight.type) || target->weight.fake_quantize != NULL;
}
/* Adds what became of target `index` to the changes, before it is stored. */
enum incise_status inc_quantize_note(struct inc_quantizing *quantizing, size_t index, const struct inc_codes *codes)
    __attribute__((warn_unused_result));
/* Tells the progress that one more target is done with. */
void inc_quantize_progress(struct inc_quantizing *quantizing, const char *name);

/* Quantizes those targets that are float weights of MatMuls, with statistics of the activations: quantize_fitted.c. */
enum incise_status inc_quantize_fitted(struct inc_quantizing *quantizing, struct inc_calibration *calibration)
    __attribute__((warn_unused_result));

#endif
