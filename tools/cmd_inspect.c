/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

static void add_op(struct tool_rows *rows, const struct incise_op_row *op)
{
    tool_rows_next(rows);
    tool_set_text(rows, "op", op->kind);
    tool_set_text(rows, "name", op->name);
    tool_set_text(rows, "weights", op->weights);
    if (op->rows > 0) {
        tool_set_int(rows, "rows", op->rows);
        tool_set_int(rows, "columns", op->columns);
        tool_set_real(rows, "zeros", op->zeros, 3);
        tool_set_real(rows, "skipped", op->skipped, 3);
        tool_set_real(rows, "mflop_per_token", op->flop_per_token / 1e6, 3);
        tool_set_real(rows, "mflop_per_text", op->flop_per_text / 1e6, 3);
        tool_set_int(rows, "packed_bytes", (long long)op->bytes);
    } else {
        const char *const none[] = {"rows",           "columns",      "zeros", "skipped", "mflop_per_token",
                                    "mflop_per_text", "packed_bytes"};
        for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) tool_set_null(rows, none[i]);
    }
    tool_set_text(rows, "kernel", op->kernel);
}

static void print_port(const char *what, const struct incise_port *port)
{
    printf("%s %s %s[", what, port->name, incise_type_name(port->type));
    for (int i = 0; i < port->rank; i++) {
        if (port->dims[i] < 0)
            printf("%s?", i > 0 ? "," : "");
        else
            printf("%s%lld", i > 0 ? "," : "", (long long)port->dims[i]);
    }
    puts("]");
}

/* What a reader wants before the list: ports, how it runs, where the work is and how much of it is skipped. */
static void print_head(const struct incise_model *model)
{
    struct incise_port port;
    const char *reason;
    double flop = 0, done = 0, per_text = 0;
    for (size_t i = 0; i < incise_model_inputs(model); i++) {
        incise_model_input(model, i, &port);
        print_port("input ", &port);
    }
    for (size_t i = 0; i < incise_model_outputs(model); i++) {
        incise_model_output(model, i, &port);
        print_port("output", &port);
    }
    for (size_t i = 0; i < incise_model_ops(model); i++) {
        struct incise_op_row op;
        incise_model_op(model, i, &op);
        flop += op.flop_per_token;
        done += op.flop_per_token * (1 - op.skipped);
        per_text += op.flop_per_text;
    }
    if (incise_model_is_fused(model, &reason))
        printf("runs fused on packed tokens: %.2f MFLOP per token in linears, %.2f of them done; %.1f MB packed\n",
               flop / 1e6, done / 1e6, (double)incise_model_bytes(model) / 1e6);
    else
        printf("runs op by op with the reference evaluator: %s\n", reason);
    if (per_text > 0) printf("behind pooling: %.2f MFLOP per text in linears\n", per_text / 1e6);
    putchar('\n');
}

static enum incise_status print_model(const struct tool_global *global, const struct incise_model *model)
{
    struct tool_rows *rows = tool_rows_create();
    if (rows == NULL) return INCISE_ERROR_MEMORY;
    for (size_t i = 0; i < incise_model_ops(model); i++) {
        struct incise_op_row op;
        incise_model_op(model, i, &op);
        add_op(rows, &op);
    }
    if (global->format == TOOL_TABLE || global->format == TOOL_MD) print_head(model);
    enum incise_status status = tool_rows_print(rows, (enum tool_format)global->format, false);
    tool_rows_destroy(rows);
    return status;
}

static enum incise_status run(const struct tool_global *global, void *options, char **arguments, size_t n)
{
    struct incise_engine *engine = NULL;
    struct incise_model *model = NULL;
    struct incise_load_options load;
    (void)options, (void)n;
    incise_load_options_init(&load);
    load.compute = (enum incise_compute)global->compute;
    enum incise_status status = tool_engine(global, &engine);
    if (status == INCISE_OK) status = incise_model_load(engine, arguments[0], &load, &model);
    if (status == INCISE_OK) status = print_model(global, model);
    incise_model_destroy(model);
    incise_engine_destroy(engine);
    return status;
}

const struct tool_command tool_inspect = {
    .name = "inspect",
    .arguments = "MODEL",
    .summary = "what is in a model, where its work is, what is zero or quantized, how each op would run",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
