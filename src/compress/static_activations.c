/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/static_activations.h"

#include <string.h>

#include "compress/stream.h"

/* ---- what is read ---------------------------------------------------------------------------------------------- */

struct survey {
    const struct inc_ctx *ctx;
    struct inc_arena arena;
    struct inc_program *program;
    struct inc_stream stream;
    struct inc_reader_group *groups;
    size_t n_groups;
    struct inc_distribution *distributions; /* of what each group reads */
};

static enum incise_status add_rows(void *user, size_t group, const float *rows, size_t n, size_t stride)
{
    struct survey *survey = user;
    if (inc_distribution_add(&survey->distributions[group], rows, n, survey->groups[group].width, stride))
        return INCISE_OK;
    return inc_fail(survey->ctx, INCISE_ERROR_DATA, "layer '%s' reads a number that is not finite",
                    survey->program->plan.steps[survey->groups[group].step].name);
}

static enum incise_status take(struct survey *survey, struct inc_graph *graph, struct inc_calibration *calibration)
{
    const struct inc_program_options options = {.mode = INC_INTEGER_NONE};
    INC_TRY(inc_program_create(graph, calibration->device, &options, &survey->program));
    INC_TRY(inc_stream_open(calibration, survey->program, &survey->stream));
    INC_TRY(inc_reader_groups(&survey->program->plan, &survey->arena, &survey->groups, &survey->n_groups));
    survey->distributions = inc_alloc_zero(survey->ctx, survey->n_groups, sizeof *survey->distributions);
    if (survey->distributions == NULL)
        return inc_fail_memory(survey->ctx, survey->n_groups * sizeof *survey->distributions, "distributions");
    for (size_t i = 0; i < calibration->n_batches; i++)
        INC_TRY(inc_stream_visit(&survey->stream, i, survey->groups, survey->n_groups, add_rows, survey));
    return INCISE_OK;
}

static void release(struct survey *survey)
{
    inc_stream_close(&survey->stream);
    inc_program_destroy(survey->program);
    inc_arena_fini(&survey->arena);
    inc_free(survey->ctx, survey->distributions);
}

/* Of what the layer called `name` reads; NULL if it does not run on token rows. */
static const struct inc_distribution *distribution_of(const struct survey *survey, const char *name)
{
    for (size_t i = 0; i < survey->n_groups; i++)
        for (size_t k = 0; k < survey->groups[i].n; k++)
            if (strcmp(survey->program->plan.steps[survey->groups[i].steps[k]].name, name) == 0)
                return &survey->distributions[i];
    return NULL;
}

/* ---- the graph ------------------------------------------------------------------------------------------------- */

static struct inc_value *add_end(struct inc_graph *graph, const char *name, const char *suffix, float end,
                                 struct inc_node *before)
{
    struct inc_tensor tensor = {.type = INC_F32, .rank = 0, .data = &end, .bytes = sizeof end};
    const char *full = inc_arena_printf(&graph->arena, "%s/%s", name, suffix);
    struct inc_node *node = full != NULL ? inc_graph_add_constant(graph, full, &tensor, NULL, before) : NULL;
    return node != NULL ? &node->outputs[0] : NULL;
}

/* NULL when memory is short. */
static struct inc_value *add_fake_quantize(struct inc_graph *graph, struct inc_node *reader, struct inc_value *value,
                                           float low, float high)
{
    const char *name = inc_arena_printf(&graph->arena, "%s/fq_input_0", reader->name);
    if (name == NULL) return NULL;
    struct inc_value *from = add_end(graph, name, "low", low, reader);
    struct inc_value *to = from != NULL ? add_end(graph, name, "high", high, reader) : NULL;
    if (to == NULL) return NULL;
    struct inc_value *inputs[] = {value, from, to, from, to};
    struct inc_node *node = inc_graph_add(graph, INC_OP_FAKE_QUANTIZE, name, inputs, 5, reader);
    if (node == NULL) return NULL;
    inc_attr_set_int(node, "levels", 256);
    node->outputs[0].type = value->type;
    node->outputs[0].shape = value->shape;
    return &node->outputs[0];
}

/* Puts one FakeQuantize before target `index` and the later ones that read the same value. */
static enum incise_status quantize_input(struct inc_graph *graph, const struct survey *survey,
                                         const struct inc_targets *targets, size_t index, enum inc_range range)
{
    struct inc_node *reader = targets->items[index].reader;
    struct inc_value *value = reader->inputs[1 - targets->items[index].input];
    const struct inc_distribution *seen = distribution_of(survey, reader->name);
    float low, high;
    if (value->node->op == INC_OP_FAKE_QUANTIZE) return INCISE_OK; /* by an earlier target, or by the file */
    if (seen == NULL || value->type != INC_F32) {
        inc_log(graph->ctx, INCISE_LOG_INFO, "the input of '%s' stays as it is", reader->name);
        return INCISE_OK;
    }
    inc_distribution_range(seen, range, &low, &high);
    struct inc_value *quantized = add_fake_quantize(graph, reader, value, low, high);
    if (quantized == NULL) return inc_fail_memory(graph->ctx, 0, "a FakeQuantize");
    for (size_t i = index; i < targets->n; i++) {
        const struct inc_target *target = &targets->items[i];
        if (target->reader->op != INC_OP_MATMUL || target->reader->inputs[1 - target->input] != value) continue;
        INC_TRY(inc_node_set_input(graph, target->reader, 1 - target->input, quantized));
    }
    return INCISE_OK;
}

enum incise_status inc_static_activations(struct inc_graph *graph, struct inc_calibration *calibration,
                                          const struct inc_targets *targets, enum inc_range range)
{
    struct survey survey = {.ctx = graph->ctx};
    inc_arena_init(&survey.arena, graph->ctx);
    enum incise_status status = take(&survey, graph, calibration);
    for (size_t i = 0; i < targets->n && status == INCISE_OK; i++)
        if (targets->items[i].reader->op == INC_OP_MATMUL) status = quantize_input(graph, &survey, targets, i, range);
    release(&survey);
    return status;
}
