/* SPDX-License-Identifier: Apache-2.0 */
/* A session: memory for one run at a time of one model. Sessions of one model may run at the same time from several
 * threads; their parallel parts queue for the engine's workers. */
#ifndef INCISE_SESSION_H
#define INCISE_SESSION_H

#include "incise/model.h"

#ifdef __cplusplus
extern "C" {
#endif

struct incise_session;

INCISE_API INCISE_CHECK enum incise_status incise_session_create(struct incise_model *model,
                                                                 struct incise_session **session);
/* NULL is fine. */
INCISE_API void incise_session_destroy(struct incise_session *session);

/* One inference. `inputs`: one tensor per model input, in the model's order; data is only read. `outputs`: room for one
 * tensor per model output; their data belongs to the session until its next run or its end. Rows of padded positions
 * (attention_mask 0) are zero in outputs of shape [batch, length, ...] of models that run fused
 * (incise_model_is_fused); models that run op by op give what the file's ops give there. INCISE_ERROR_DATA for shapes,
 * types or token ids that do not fit; INCISE_ERROR_MEMORY when the estimate for this size exceeds the engine's
 * max_memory. The session stays usable after an error. */
INCISE_API INCISE_CHECK enum incise_status incise_session_run(struct incise_session *session,
                                                              const struct incise_tensor *inputs, size_t n_inputs,
                                                              struct incise_tensor *outputs, size_t n_outputs);

/* Per-op times of the last run, in the order of incise_model_op: seconds[i]; `capacity` entries are filled at most.
 * Times are taken only after incise_session_profile(session, 1). */
INCISE_API void incise_session_profile(struct incise_session *session, int enabled);
INCISE_API size_t incise_session_times(const struct incise_session *session, double *seconds, size_t capacity);

/* What op `index` (incise_model_op) did in the last run. A product of matrices is bound by its operations, everything
 * else counts as bound by memory, though rows that stay in a cache come faster. */
struct incise_work {
    enum incise_limit limit;
    double operations; /* as the dense op, of real tokens and visible pairs; 0 where the limit is READ */
    double done;       /* those that were not skipped */
    double bytes;      /* of weights and rows, read or written once */
};
INCISE_API void incise_session_work(const struct incise_session *session, size_t index, struct incise_work *work);

#ifdef __cplusplus
}
#endif
#endif
