/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/model_internal.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "formats/openvino/ir.h"
#include "formats/pack/pack_file.h"
#include "lower/match.h"

_Static_assert((int)INCISE_BOOL == (int)INC_BOOL && (int)INCISE_U4 == (int)INC_U4 && (int)INCISE_I64 == (int)INC_I64,
               "public and internal element types are the same numbers");

const char *incise_type_name(enum incise_type type)
{
    return (unsigned)type < INC_TYPE_COUNT ? inc_type_name((enum inc_type)type) : "unknown";
}

void incise_load_options_init(struct incise_load_options *options)
{
    memset(options, 0, sizeof *options);
    options->struct_size = sizeof *options;
}

/* Whether a step before `index` has the same packed weights. */
static bool is_shared(const struct inc_program *program, size_t index)
{
    for (size_t i = 0; program->prepared[index] != NULL && i < index; i++)
        if (program->prepared[i] == program->prepared[index]) return true;
    return false;
}

static size_t packed_bytes(const struct incise_model *model)
{
    const struct inc_program *program = model->program;
    struct inc_device *device = program->device;
    size_t bytes = 0;
    for (size_t i = 0; i < program->plan.n_steps; i++) {
        struct inc_step_info info = {0};
        if (is_shared(program, i)) continue;
        device->ops->describe(device, &program->plan.steps[i], program->prepared[i], &info);
        bytes += info.bytes;
    }
    return bytes;
}

/* The Parameter behind `value` and its Converts, as an index into graph->parameters; SIZE_MAX if it is another node. */
static size_t parameter_behind(const struct inc_graph *graph, const struct inc_value *value)
{
    while (value->node->op == INC_OP_CONVERT) value = value->node->inputs[0];
    for (size_t i = 0; i < graph->n_parameters; i++)
        if (graph->parameters[i] == value->node) return i;
    return SIZE_MAX;
}

static enum incise_status add_id_table(struct incise_model *model, const struct inc_graph *graph,
                                       const struct inc_node *gather)
{
    const struct inc_shape *shape = &gather->inputs[0]->shape;
    size_t index = parameter_behind(graph, gather->inputs[1]), bytes = strlen(gather->name) + 1;
    int64_t axis;
    if (index == SIZE_MAX || shape->rank != 2 || !inc_dim_is_const(shape->dims[0]) ||
        inc_const_ints(gather->inputs[2], &axis, 1) != 1 || axis != 0)
        return INCISE_OK;
    struct inc_id_table *table = &model->id_tables[index];
    if (table->rows != 0 && table->rows <= shape->dims[0].value) return INCISE_OK;
    char *layer = inc_alloc(graph->ctx, bytes);
    if (layer == NULL) return inc_fail_memory(graph->ctx, bytes, "a model");
    memcpy(layer, gather->name, bytes);
    inc_free(graph->ctx, table->layer);
    *table = (struct inc_id_table){.rows = shape->dims[0].value, .layer = layer};
    return INCISE_OK;
}

static bool is_gather(const struct inc_node *node)
{
    return node->op == INC_OP_GATHER || node->op == INC_OP_GATHER7 || node->op == INC_OP_GATHER1;
}

static enum incise_status find_id_tables(struct incise_model *model, const struct inc_graph *graph)
{
    model->id_tables = inc_alloc_zero(graph->ctx, graph->n_parameters, sizeof *model->id_tables);
    if (model->id_tables == NULL) return inc_fail_memory(graph->ctx, sizeof *model->id_tables, "a model");
    model->n_id_tables = graph->n_parameters;
    for (const struct inc_node *node = graph->first; node != NULL; node = node->next)
        if (is_gather(node)) INC_TRY(add_id_table(model, graph, node));
    return INCISE_OK;
}

enum incise_status inc_model_from_graph(struct incise_engine *engine, struct inc_graph *graph,
                                        const struct inc_program_options *options, struct incise_model **out)
{
    const struct inc_ctx *ctx = &engine->ctx;
    struct incise_model *model = inc_alloc_zero(ctx, 1, sizeof *model);
    if (model == NULL) return inc_fail_memory(ctx, sizeof *model, "a model");
    model->engine = engine;
    enum incise_status status = find_id_tables(model, graph);
    if (status == INCISE_OK) status = inc_program_create(graph, engine->device, options, &model->program);
    if (status != INCISE_OK) {
        incise_model_destroy(model);
        return status;
    }
    model->bytes = packed_bytes(model);
    if (!model->program->fused && !options->reference)
        inc_log(ctx, INCISE_LOG_WARNING, "%s runs op by op, slowly: %s", graph->source,
                model->program->lowering.reason);
    *out = model;
    return INCISE_OK;
}

static const enum inc_integer_mode integer_modes[] = {
    [INCISE_COMPUTE_AUTO] = INC_INTEGER_AS_WRITTEN,
    [INCISE_COMPUTE_FLOAT] = INC_INTEGER_NONE,
    [INCISE_COMPUTE_INT8] = INC_INTEGER_ALL,
    [INCISE_COMPUTE_INT8_ATTENTION] = INC_INTEGER_AND_ATTENTION,
};

enum incise_status inc_model_options(struct incise_engine *engine, const struct incise_load_options *options,
                                     struct inc_program_options *program)
{
    struct incise_load_options defaults;
    incise_load_options_init(&defaults);
    if (options == NULL) options = &defaults;
    if (options->struct_size != sizeof *options || (unsigned)options->compute > INCISE_COMPUTE_INT8_ATTENTION)
        return inc_fail(&engine->ctx, INCISE_ERROR_USAGE,
                        "load options were not initialized by incise_load_options_init");
    *program = (struct inc_program_options){.mode = integer_modes[options->compute],
                                            .reference = options->reference != 0};
    return INCISE_OK;
}

enum incise_status inc_model_from_file(struct incise_engine *engine, const char *path,
                                       const struct inc_program_options *options, struct incise_model **model)
{
    struct inc_graph *graph = NULL;
    INC_TRY(inc_ir_read(&engine->ctx, path, &graph));
    enum incise_status status = inc_model_from_graph(engine, graph, options, model);
    inc_graph_destroy(graph);
    return status;
}

enum incise_status incise_model_load(struct incise_engine *engine, const char *path,
                                     const struct incise_load_options *options, struct incise_model **model)
{
    struct inc_program_options program;
    double start = inc_seconds();
    INC_TRY(inc_model_options(engine, options, &program));
    enum incise_status status = inc_model_is_packed(path) ? inc_model_from_pack(engine, path, &program, model)
                                                          : inc_model_from_file(engine, path, &program, model);
    if (status == INCISE_OK) (*model)->load_seconds = inc_seconds() - start;
    return status;
}

static bool is_pass(const char *name)
{
    for (size_t i = 0; i < inc_n_passes; i++)
        if (strcmp(inc_passes[i].name, name) == 0) return true;
    return name[0] == '\0';
}

static enum incise_status fail_pass(const struct inc_ctx *ctx, const char *pass)
{
    struct inc_buffer names;
    inc_buffer_init(&names, ctx);
    for (size_t i = 0; i < inc_n_passes; i++) inc_buffer_printf(&names, " %s", inc_passes[i].name);
    enum incise_status status = inc_buffer_check(&names);
    if (status == INCISE_OK)
        status = inc_fail(ctx, INCISE_ERROR_USAGE, "there is no pass '%s'; the passes are:%s", pass, names.data);
    inc_buffer_fini(&names);
    return status;
}

static enum incise_status dump_graph(struct incise_engine *engine, struct inc_graph *graph, const char *pass,
                                     struct inc_buffer *dump)
{
    struct inc_lowering lowering = {.ctx = &engine->ctx};
    if (pass[0] == '\0') return inc_graph_dump(graph, true, dump);
    INC_TRY(inc_graph_clone(graph, &lowering.graph));
    enum incise_status status = inc_lower_run(&lowering, pass, dump);
    if (status == INCISE_OK && dump->length == 0)
        status = inc_fail(&engine->ctx, INCISE_ERROR_DATA, "%s: lowering stops before pass '%s': %s", graph->source,
                          pass, lowering.reason);
    inc_graph_destroy(lowering.graph);
    return status;
}

enum incise_status incise_model_dump(struct incise_engine *engine, const char *path, const char *pass,
                                     incise_text_fn *sink, void *user)
{
    const struct inc_ctx *ctx = &engine->ctx;
    struct inc_graph *graph = NULL;
    struct inc_buffer dump;
    if (!is_pass(pass)) return fail_pass(ctx, pass);
    INC_TRY(inc_ir_read(ctx, path, &graph));
    inc_buffer_init(&dump, ctx);
    enum incise_status status = dump_graph(engine, graph, pass, &dump);
    if (status == INCISE_OK) status = inc_buffer_check(&dump);
    if (status == INCISE_OK) sink(user, dump.data);
    inc_buffer_fini(&dump);
    inc_graph_destroy(graph);
    return status;
}

void incise_model_destroy(struct incise_model *model)
{
    if (model == NULL) return;
    const struct inc_ctx *ctx = &model->engine->ctx;
    inc_program_destroy(model->program);
    inc_pack_close(model->pack);
    for (size_t i = 0; i < model->n_id_tables; i++) inc_free(ctx, model->id_tables[i].layer);
    inc_free(ctx, model->id_tables);
    inc_free(ctx, model);
}

/* ---- ports ----------------------------------------------------------------------------------------------------- */

static void fill_port(const struct inc_value *value, const char *name, struct incise_port *port)
{
    memset(port, 0, sizeof *port);
    port->name = value->n_names > 0 ? value->names[0] : name;
    port->type = (enum incise_type)value->type;
    port->rank = value->shape.rank;
    for (int i = 0; i < port->rank; i++)
        port->dims[i] = inc_dim_is_const(value->shape.dims[i]) ? value->shape.dims[i].value : -1;
}

size_t incise_model_inputs(const struct incise_model *model)
{
    return model->program->lowering.graph->n_parameters;
}

size_t incise_model_outputs(const struct incise_model *model)
{
    return model->program->lowering.graph->n_results;
}

void incise_model_input(const struct incise_model *model, size_t index, struct incise_port *port)
{
    const struct inc_node *node = model->program->lowering.graph->parameters[index];
    fill_port(&node->outputs[0], node->name, port);
}

void incise_model_output(const struct incise_model *model, size_t index, struct incise_port *port)
{
    const struct inc_node *node = model->program->lowering.graph->results[index];
    fill_port(node->inputs[0], node->name, port);
}

double incise_model_load_seconds(const struct incise_model *model)
{
    return model->load_seconds;
}

size_t incise_model_bytes(const struct incise_model *model)
{
    return model->bytes;
}

int incise_model_is_fused(const struct incise_model *model, const char **reason)
{
    if (reason != NULL) *reason = model->program->lowering.reason;
    return model->program->fused;
}

/* The largest table that rows are gathered from: token embeddings outnumber positions and types. */
int64_t incise_model_vocabulary(const struct incise_model *model)
{
    int64_t rows = 0;
    for (const struct inc_node *node = model->program->lowering.graph->first; node != NULL; node = node->next) {
        struct inc_weight table;
        bool gather = node->op == INC_OP_EMBEDDING_GATHER || is_gather(node);
        if (gather && inc_weight_match(node->inputs[0], true, &table) && table.out > rows) rows = table.out;
    }
    return rows;
}

/* ---- ops ------------------------------------------------------------------------------------------------------- */

size_t incise_model_ops(const struct incise_model *model)
{
    return model->program->plan.n_steps;
}

/* Share of W that is zero: one pass over the logical rows. */
static double zero_share(const struct inc_ctx *ctx, const struct inc_weight *weight)
{
    float *row = inc_alloc_array(ctx, (size_t)weight->in, sizeof *row);
    double zeros = 0;
    if (row == NULL) return 0;
    for (int64_t i = 0; i < weight->out; i++) {
        inc_weight_row_f32(weight, i, row);
        for (int64_t k = 0; k < weight->in; k++) zeros += row[k] == 0;
    }
    inc_free(ctx, row);
    return zeros / ((double)weight->out * (double)weight->in);
}

void incise_model_op(const struct incise_model *model, size_t index, struct incise_op_row *row)
{
    const struct inc_program *program = model->program;
    const struct inc_step *step = &program->plan.steps[index];
    struct inc_step_info info = {.kernel = "", .density = 1};
    program->device->ops->describe(program->device, step, program->prepared[index], &info);
    *row = (struct incise_op_row){.name = step->name,
                                  .kind = inc_ops[step->op].name,
                                  .kernel = info.kernel,
                                  .weights = "",
                                  .bytes = info.bytes,
                                  .skipped = 1 - info.density};
    if (step->op == INC_OP_ROWWISE) row->kind = inc_ops[step->u.rowwise.op].name;
    if (step->op != INC_OP_LINEAR) return;
    const struct inc_weight *weight = &program->plan.slots[step->u.linear.slot].weight;
    row->weights = inc_type_name(weight->type);
    row->rows = weight->out;
    row->columns = weight->in;
    row->zeros = zero_share(program->ctx, weight);
    double flop = 2.0 * (double)weight->out * (double)weight->in;
    *(step->domain == INC_DOMAIN_TOKENS ? &row->flop_per_token : &row->flop_per_text) = flop;
}
