/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "incise/array.h"
#include "incise/session.h"
#include "peaks.h"

struct run_options {
    struct tool_list inputs;
    const char *out;
    bool reference, profile, force;
    const char *dump_after;
};

#define OPTION(...) TOOL_OPTION(run_options, __VA_ARGS__)
static const struct tool_option options_table[] = {
    OPTION("input", 'i', TOOL_LIST, inputs, "NAME=FILE.npy",
           "an input; attention_mask, token_type_ids and position_ids are made up if not given"),
    OPTION("output", 'o', TOOL_TEXT, out, "DIR", "folder for <index>_<name>.npy, one per output"),
    OPTION("force", 'f', TOOL_FLAG, force, NULL, "replace DIR if it exists"),
    OPTION("reference", 0, TOOL_FLAG, reference, NULL,
           "run the file's ops one by one in plain C: slow, the definition of right"),
    OPTION("profile", 0, TOOL_FLAG, profile, NULL,
           "per op: time, rate, and share of this machine's peak, measured first"),
    OPTION("dump-after", 0, TOOL_TEXT, dump_after, "PASS",
           "print the graph after a lowering pass ('' = as read) and stop"),
};

struct run_state {
    struct incise_engine *engine;
    struct incise_model *model;
    struct incise_session *session;
    struct incise_tensor *inputs, *outputs;
    size_t n_inputs, n_outputs;
};

/* The file given for input `name`, or NULL. */
static const char *file_of(const struct run_options *options, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < options->inputs.n; i++)
        if (strncmp(options->inputs.items[i], name, length) == 0 && options->inputs.items[i][length] == '=')
            return options->inputs.items[i] + length + 1;
    return NULL;
}

static enum incise_status check_names(const struct run_state *state, const struct run_options *options)
{
    for (size_t i = 0; i < options->inputs.n; i++) {
        bool known = false;
        for (size_t k = 0; k < state->n_inputs; k++) {
            struct incise_port port;
            incise_model_input(state->model, k, &port);
            size_t length = strlen(port.name);
            known = known || (strncmp(options->inputs.items[i], port.name, length) == 0 &&
                              options->inputs.items[i][length] == '=');
        }
        if (!known)
            return tool_fail(INCISE_ERROR_USAGE,
                             "--input %s: write NAME=FILE.npy with the name of an input (see incise inspect)",
                             options->inputs.items[i]);
    }
    return INCISE_OK;
}

/* Inputs that follow from the shape of another: all tokens real, one text, positions counted. */
static enum incise_status make_input(const struct incise_port *port, const struct incise_tensor *like,
                                     struct incise_engine *engine, struct incise_tensor *made)
{
    bool ones = strcmp(port->name, "attention_mask") == 0, counted = strcmp(port->name, "position_ids") == 0;
    (void)engine;
    if ((!ones && !counted && strcmp(port->name, "token_type_ids") != 0) || like == NULL || like->rank != 2 ||
        port->type != INCISE_I64)
        return tool_fail(INCISE_ERROR_USAGE, "input '%s' is missing: give --input %s=FILE.npy", port->name, port->name);
    int64_t *data = tool_alloc((size_t)(like->dims[0] * like->dims[1]), sizeof *data);
    if (data == NULL) return INCISE_ERROR_MEMORY;
    for (int64_t i = 0; i < like->dims[0] * like->dims[1]; i++) data[i] = counted ? i % like->dims[1] : ones;
    *made = *like;
    made->type = INCISE_I64;
    made->data = data;
    made->bytes = (size_t)(like->dims[0] * like->dims[1]) * sizeof *data;
    return INCISE_OK;
}

static enum incise_status read_inputs(struct run_state *state, const struct run_options *options, bool *from_file)
{
    const struct incise_tensor *like = NULL;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < state->n_inputs; i++) {
            struct incise_port port;
            incise_model_input(state->model, i, &port);
            const char *file = file_of(options, port.name);
            enum incise_status status = INCISE_OK;
            if (pass == 0 && file != NULL) {
                status = incise_array_read(state->engine, file, &state->inputs[i]);
                from_file[i] = status == INCISE_OK;
                if (like == NULL) like = &state->inputs[i];
            } else if (pass == 1 && file == NULL) {
                status = make_input(&port, like, state->engine, &state->inputs[i]);
            }
            if (status != INCISE_OK) return status;
        }
    return INCISE_OK;
}

/* "0_last_hidden_state.npy"; characters that do not belong into a file name become '_'. */
static void output_name(const struct incise_model *model, size_t index, char *name, size_t size)
{
    struct incise_port port;
    incise_model_output(model, index, &port);
    snprintf(name, size, "%zu_%.100s.npy", index, port.name);
    for (char *c = name; *c != '\0'; c++)
        if (strchr("/\\: ", *c) != NULL) *c = '_';
}

static enum incise_status write_outputs(const struct run_state *state, const struct run_options *options)
{
    char(*names)[128] = tool_alloc(state->n_outputs, sizeof *names);
    const char **list = tool_alloc(state->n_outputs, sizeof *list);
    enum incise_status status = names == NULL || list == NULL ? INCISE_ERROR_MEMORY : INCISE_OK;
    for (size_t i = 0; i < state->n_outputs && status == INCISE_OK; i++) {
        output_name(state->model, i, names[i], sizeof names[i]);
        list[i] = names[i];
    }
    if (status == INCISE_OK)
        status = incise_arrays_write(state->engine, options->out, options->force, list, state->outputs,
                                     state->n_outputs);
    free(names);
    free(list);
    return status;
}

static enum incise_status print_outputs(const struct tool_global *global, const struct run_state *state)
{
    struct tool_rows *rows = tool_rows_create();
    if (rows == NULL) return INCISE_ERROR_MEMORY;
    for (size_t i = 0; i < state->n_outputs; i++) {
        struct incise_port port;
        char shape[128] = "";
        incise_model_output(state->model, i, &port);
        for (int d = 0, at = 0; d < state->outputs[i].rank; d++)
            at += snprintf(shape + at, sizeof shape - (size_t)at, "%s%lld", d > 0 ? "," : "",
                           (long long)state->outputs[i].dims[d]);
        tool_rows_next(rows);
        tool_set_int(rows, "index", (long long)i);
        tool_set_text(rows, "name", port.name);
        tool_set_text(rows, "type", incise_type_name(state->outputs[i].type));
        tool_set_text(rows, "shape", shape);
    }
    enum incise_status status = tool_rows_print(rows, (enum tool_format)global->format, false);
    tool_rows_destroy(rows);
    return status;
}

/* Rates of op `index`, which took `seconds` in the last run. */
static void set_rates(struct tool_rows *rows, const struct run_state *state, const struct peaks *peaks, size_t index,
                      double seconds)
{
    struct incise_work work;
    incise_session_work(state->session, index, &work);
    tool_set_null(rows, "gflops");
    tool_set_null(rows, "gb_per_s");
    tool_set_null(rows, "peak_share");
    if (seconds <= 0) return;
    if (work.limit == INCISE_LIMIT_READ)
        tool_set_real(rows, "gb_per_s", work.bytes / seconds * 1e-9, 1);
    else
        tool_set_real(rows, "gflops", work.operations / seconds * 1e-9, 1);
    tool_set_real(rows, "peak_share", peaks_seconds(peaks, &work) / seconds, 3);
}

static enum incise_status print_profile(const struct tool_global *global, const struct run_state *state,
                                        const struct peaks *peaks)
{
    size_t n = incise_model_ops(state->model);
    double *seconds = tool_alloc(n, sizeof *seconds), total = 0;
    struct tool_rows *rows = tool_rows_create();
    enum incise_status status = seconds == NULL || rows == NULL ? INCISE_ERROR_MEMORY : INCISE_OK;
    if (status == INCISE_OK) n = incise_session_times(state->session, seconds, n);
    for (size_t i = 0; i < n && status == INCISE_OK; i++) total += seconds[i];
    for (size_t i = 0; i < n && status == INCISE_OK; i++) {
        struct incise_op_row op;
        incise_model_op(state->model, i, &op);
        tool_rows_next(rows);
        tool_set_text(rows, "op", op.kind);
        tool_set_text(rows, "name", op.name);
        tool_set_real(rows, "ms", seconds[i] * 1e3, 3);
        tool_set_real(rows, "share", total > 0 ? seconds[i] / total : 0, 3);
        set_rates(rows, state, peaks, i, seconds[i]);
        tool_set_text(rows, "kernel", op.kernel);
    }
    if (status == INCISE_OK) status = tool_rows_print(rows, (enum tool_format)global->format, false);
    tool_rows_destroy(rows);
    free(seconds);
    return status;
}

#define PEAK_SECONDS 0.1

static enum incise_status run_model(const struct tool_global *global, struct run_state *state,
                                    const struct run_options *options, bool *from_file)
{
    enum incise_status status = check_names(state, options);
    if (status == INCISE_OK) status = read_inputs(state, options, from_file);
    if (status == INCISE_OK) status = incise_session_create(state->model, &state->session);
    if (status != INCISE_OK) return status;
    struct peaks peaks;
    if (options->profile) { /* the first run touches fresh memory: time the second */
        status = peaks_measure(state->engine, PEAK_SECONDS, &peaks);
        if (status == INCISE_OK)
            status =
                incise_session_run(state->session, state->inputs, state->n_inputs, state->outputs, state->n_outputs);
        incise_session_profile(state->session, 1);
    }
    if (status == INCISE_OK)
        status = incise_session_run(state->session, state->inputs, state->n_inputs, state->outputs, state->n_outputs);
    if (status == INCISE_OK && options->out != NULL) status = write_outputs(state, options);
    if (status != INCISE_OK) return status;
    if (!options->profile) return print_outputs(global, state);
    return print_profile(global, state, &peaks);
}

static void print_text(void *user, const char *text)
{
    (void)user;
    fputs(text, stdout);
}

static enum incise_status run(const struct tool_global *global, void *block, char **arguments, size_t n)
{
    const struct run_options *options = block;
    struct run_state state = {0};
    struct incise_load_options load;
    bool *from_file = NULL;
    (void)n;
    incise_load_options_init(&load);
    load.compute = (enum incise_compute)global->compute;
    load.reference = options->reference;
    enum incise_status status = tool_engine(global, &state.engine);
    if (status == INCISE_OK && options->dump_after != NULL) {
        status = incise_model_dump(state.engine, arguments[0], options->dump_after, print_text, NULL);
        incise_engine_destroy(state.engine);
        return status;
    }
    if (status == INCISE_OK) status = incise_model_load(state.engine, arguments[0], &load, &state.model);
    if (status == INCISE_OK) {
        state.n_inputs = incise_model_inputs(state.model);
        state.n_outputs = incise_model_outputs(state.model);
        state.inputs = tool_alloc(state.n_inputs, sizeof *state.inputs);
        state.outputs = tool_alloc(state.n_outputs, sizeof *state.outputs);
        from_file = tool_alloc(state.n_inputs, sizeof *from_file);
        status = state.inputs == NULL || state.outputs == NULL || from_file == NULL
                     ? INCISE_ERROR_MEMORY
                     : run_model(global, &state, options, from_file);
    }
    for (size_t i = 0; from_file != NULL && state.inputs != NULL && i < state.n_inputs; i++) {
        if (from_file[i])
            incise_array_release(state.engine, &state.inputs[i]);
        else
            free(state.inputs[i].data);
    }
    free(state.inputs);
    free(state.outputs);
    free(from_file);
    incise_session_destroy(state.session);
    incise_model_destroy(state.model);
    incise_engine_destroy(state.engine);
    return status;
}

const struct tool_command tool_run = {
    .name = "run",
    .arguments = "MODEL",
    .summary = "one inference: .npy in, .npy out",
    TOOL_TABLE(options_table, run_options),
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
