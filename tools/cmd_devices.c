/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

static enum incise_status run(const struct tool_global *global, void *options, char **arguments, size_t n)
{
    struct incise_engine *engine = NULL;
    (void)options, (void)arguments, (void)n;
    enum incise_status status = tool_engine(global, &engine);
    if (status != INCISE_OK) return status;
    struct tool_rows *rows = tool_rows_create();
    if (rows == NULL) status = INCISE_ERROR_MEMORY;
    for (size_t i = 0; rows != NULL && i < incise_engine_kernels(engine); i++) {
        struct incise_kernel_row kernel;
        incise_engine_kernel(engine, i, &kernel);
        tool_rows_next(rows);
        tool_set_text(rows, "device", "cpu");
        tool_set_text(rows, "cpu", incise_cpu_name());
        tool_set_text(rows, "isa", incise_isa_name(incise_engine_isa(engine)));
        tool_set_text(rows, "isa_best", incise_isa_name(incise_isa_detect()));
        tool_set_int(rows, "threads", incise_engine_threads(engine));
        tool_set_text(rows, "family", kernel.family);
        tool_set_text(rows, "kernel", kernel.name);
        tool_set_text(rows, "why", kernel.why);
    }
    if (status == INCISE_OK && global->format != TOOL_JSON && global->format != TOOL_CSV) {
        printf("%s, %d threads, instruction set %s (the CPU's best: %s)\n", incise_cpu_name(),
               incise_engine_threads(engine), incise_isa_name(incise_engine_isa(engine)),
               incise_isa_name(incise_isa_detect()));
        const char *const said[] = {"device", "cpu", "isa", "isa_best", "threads"};
        for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) tool_hide(rows, said[i]);
    }
    if (status == INCISE_OK) status = tool_rows_print(rows, (enum tool_format)global->format, false);
    tool_rows_destroy(rows);
    incise_engine_destroy(engine);
    return status;
}

const struct tool_command tool_devices = {
    .name = "devices",
    .arguments = "",
    .summary = "what this machine can run, and which kernels are chosen",
    .run = run,
};
