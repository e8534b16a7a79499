/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/model_internal.h"
#include "lower/work.h"

enum incise_status incise_session_create(struct incise_model *model, struct incise_session **out)
{
    const struct inc_ctx *ctx = &model->engine->ctx;
    struct incise_session *session = inc_alloc_zero(ctx, 1, sizeof *session);
    if (session == NULL) return inc_fail_memory(ctx, sizeof *session, "a session");
    session->model = model;
    enum incise_status status = inc_run_create(model->program, &session->run);
    if (status != INCISE_OK) {
        inc_free(ctx, session);
        return status;
    }
    *out = session;
    return INCISE_OK;
}

void incise_session_destroy(struct incise_session *session)
{
    if (session == NULL) return;
    inc_run_destroy(session->run);
    inc_free(&session->model->engine->ctx, session);
}

/* A caller's tensor as one of ours; its size must be what its shape says. */
static enum incise_status borrow(const struct inc_ctx *ctx, size_t index, const struct incise_tensor *given,
                                 struct inc_tensor *tensor)
{
    size_t count, bytes;
    if ((unsigned)given->type >= INC_TYPE_COUNT || given->rank < 0 || given->rank > INCISE_MAX_RANK ||
        !inc_tensor_count(given->rank, given->dims, (enum inc_type)given->type, &count, &bytes) ||
        bytes != given->bytes || (given->data == NULL && bytes > 0))
        return inc_fail(ctx, INCISE_ERROR_DATA, "input %zu: type, shape and size do not agree", index);
    *tensor = (struct inc_tensor){
        .type = (enum inc_type)given->type, .rank = given->rank, .data = given->data, .bytes = bytes};
    memcpy(tensor->dims, given->dims, (size_t)given->rank * sizeof given->dims[0]);
    return INCISE_OK;
}

/* Every id is a row of its table. A file may convert ids to i32, which wraps, and its Gather counts negative ones from
 * the end: neither is what anybody meant by a token. */
static enum incise_status check_ids(const struct incise_model *model, size_t index, const struct inc_tensor *ids)
{
    const struct inc_graph *graph = model->program->lowering.graph;
    const struct inc_id_table *table = &model->id_tables[index];
    struct incise_port port;
    if (table->rows == 0 || inc_type_is_float(ids->type)) return INCISE_OK;
    for (size_t i = 0, n = inc_tensor_elements(ids); i < n; i++) {
        int64_t id = inc_tensor_get_i64(ids, i);
        if (id >= 0 && id < table->rows) continue;
        incise_model_input(model, index, &port);
        return inc_fail(graph->ctx, INCISE_ERROR_DATA,
                        "%s: input '%s': element %zu is %lld, outside the %lld rows of layer '%s'", graph->source,
                        port.name, i, (long long)id, (long long)table->rows, table->layer);
    }
    return INCISE_OK;
}

enum incise_status incise_session_run(struct incise_session *session, const struct incise_tensor *inputs,
                                      size_t n_inputs, struct incise_tensor *outputs, size_t n_outputs)
{
    const struct inc_graph *graph = session->model->program->lowering.graph;
    const struct inc_ctx *ctx = graph->ctx;
    struct inc_tensor *borrowed = inc_alloc_zero(ctx, n_inputs, sizeof *borrowed);
    if (borrowed == NULL) return inc_fail_memory(ctx, n_inputs * sizeof *borrowed, "inputs");
    enum incise_status status = INCISE_OK;
    if (n_outputs != graph->n_results)
        status = inc_fail(ctx, INCISE_ERROR_USAGE, "room for %zu outputs, the model has %zu", n_outputs,
                          graph->n_results);
    for (size_t i = 0; i < n_inputs && status == INCISE_OK; i++) status = borrow(ctx, i, &inputs[i], &borrowed[i]);
    for (size_t i = 0; i < n_inputs && i < graph->n_parameters && status == INCISE_OK; i++)
        status = check_ids(session->model, i, &borrowed[i]);
    if (status == INCISE_OK) status = inc_run_execute(session->run, borrowed, n_inputs);
    inc_free(ctx, borrowed);
    for (size_t i = 0; i < n_outputs && status == INCISE_OK; i++) {
        const struct inc_tensor *from = &session->run->outputs[i];
        outputs[i] = (struct incise_tensor){
            .type = (enum incise_type)from->type, .rank = from->rank, .data = from->data, .bytes = from->bytes};
        memcpy(outputs[i].dims, from->dims, (size_t)from->rank * sizeof from->dims[0]);
    }
    return status;
}

void incise_session_profile(struct incise_session *session, int enabled)
{
    session->run->timed = enabled != 0;
}

size_t incise_session_times(const struct incise_session *session, double *seconds, size_t capacity)
{
    size_t n = session->model->program->plan.n_steps;
    if (n > capacity) n = capacity;
    memcpy(seconds, session->run->seconds, n * sizeof *seconds);
    return n;
}

void incise_session_work(const struct incise_session *session, size_t index, struct incise_work *work)
{
    inc_step_work(session->run->program, index, &session->run->batch, work);
}
