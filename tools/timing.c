/* SPDX-License-Identifier: Apache-2.0 */
#include "timing.h"

#include <stdlib.h>
#include <string.h>

#define WARM_UP  2
#define FEWEST   5
#define WANTED   20
#define MOST     100000
#define PATIENCE 4 /* times the budget that WANTED rounds may take */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

void sort_values(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_value);
}

double quantile_of_sorted(const double *values, size_t n, double share)
{
    double position = share * (double)(n - 1);
    size_t k = (size_t)position;
    return k + 1 < n ? values[k] + (values[k + 1] - values[k]) * (position - (double)k) : values[n - 1];
}

/* ---- inputs ---------------------------------------------------------------------------------------------------- */

enum incise_status timed_init(struct timed *timed, struct incise_model *model)
{
    *timed = (struct timed){
        .model = model, .n_inputs = incise_model_inputs(model), .n_outputs = incise_model_outputs(model)};
    timed->inputs = tool_alloc(timed->n_inputs, sizeof *timed->inputs);
    timed->outputs = tool_alloc(timed->n_outputs, sizeof *timed->outputs);
    if (timed->inputs == NULL || timed->outputs == NULL) return INCISE_ERROR_MEMORY;
    return incise_session_create(model, &timed->session);
}

static void free_inputs(struct timed *timed)
{
    for (size_t i = 0; timed->inputs != NULL && i < timed->n_inputs; i++) {
        free(timed->inputs[i].data);
        timed->inputs[i].data = NULL;
    }
}

void timed_release(struct timed *timed)
{
    free_inputs(timed);
    free(timed->inputs);
    free(timed->outputs);
    free(timed->seconds);
    incise_session_destroy(timed->session);
    *timed = (struct timed){0};
}

/* Element i of an input; ids are spread over the vocabulary. */
static int64_t element(const char *name, size_t i, size_t length, int64_t vocabulary)
{
    if (strcmp(name, "attention_mask") == 0) return 1;
    if (strcmp(name, "token_type_ids") == 0) return 0;
    if (strcmp(name, "position_ids") == 0) return (int64_t)(i % length);
    return vocabulary > 0 ? (int64_t)((uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 33) % vocabulary : 0;
}

static enum incise_status make_input(struct timed *timed, size_t index, size_t batch, size_t length)
{
    static const char *const known[] = {"input_ids", "attention_mask", "token_type_ids", "position_ids"};
    struct incise_tensor *input = &timed->inputs[index];
    struct incise_port port;
    size_t k = 0, n = batch * length;
    int64_t vocabulary = incise_model_vocabulary(timed->model);
    incise_model_input(timed->model, index, &port);
    while (k < 4 && strcmp(port.name, known[k]) != 0) k++;
    bool narrow = port.type == INCISE_I32;
    if (k == 4 || port.rank != 2 || (!narrow && port.type != INCISE_I64))
        return tool_fail(INCISE_ERROR_DATA, "input '%s' is not one that can be made up: ids, mask, types, positions",
                         port.name);
    *input = (struct incise_tensor){.type = port.type, .rank = 2, .dims = {(int64_t)batch, (int64_t)length}};
    input->bytes = n * (narrow ? sizeof(int32_t) : sizeof(int64_t));
    input->data = tool_alloc(n, sizeof(int64_t));
    if (input->data == NULL) return INCISE_ERROR_MEMORY;
    for (size_t i = 0; i < n; i++) {
        int64_t value = element(port.name, i, length, vocabulary);
        if (narrow)
            ((int32_t *)input->data)[i] = (int32_t)value;
        else
            ((int64_t *)input->data)[i] = value;
    }
    return INCISE_OK;
}

/* ---- rounds ---------------------------------------------------------------------------------------------------- */

static enum incise_status run_once(struct timed *timed, size_t round, bool counted)
{
    if (round >= timed->capacity) {
        size_t capacity = timed->capacity > 0 ? 2 * timed->capacity : 64;
        double *seconds = realloc(timed->seconds, capacity * sizeof *seconds);
        if (seconds == NULL) return tool_fail(INCISE_ERROR_MEMORY, "out of memory");
        timed->seconds = seconds;
        timed->capacity = capacity;
    }
    double start = tool_seconds();
    enum incise_status status = incise_session_run(timed->session, timed->inputs, timed->n_inputs, timed->outputs,
                                                   timed->n_outputs);
    if (counted) timed->seconds[round] = tool_seconds() - start;
    return status;
}

static bool goes_on(size_t rounds, double elapsed, double budget)
{
    if (rounds < FEWEST) return true;
    return rounds < MOST && (elapsed < budget || (rounds < WANTED && elapsed < PATIENCE * budget));
}

enum incise_status timed_measure(struct timed *models, size_t n, size_t batch, size_t length, double seconds,
                                 size_t *rounds)
{
    enum incise_status status = INCISE_OK;
    for (size_t m = 0; m < n; m++) {
        free_inputs(&models[m]);
        for (size_t i = 0; i < models[m].n_inputs && status == INCISE_OK; i++)
            status = make_input(&models[m], i, batch, length);
        for (size_t i = 0; i < WARM_UP && status == INCISE_OK; i++) status = run_once(&models[m], 0, false);
    }
    double start = tool_seconds();
    for (*rounds = 0; status == INCISE_OK && goes_on(*rounds, tool_seconds() - start, seconds * (double)n); ++*rounds)
        for (size_t i = 0; i < n && status == INCISE_OK; i++)
            status = run_once(&models[(*rounds + i) % n], *rounds, true);
    return status;
}
