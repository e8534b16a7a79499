/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "commands.h"
#include "incise/model.h"

struct pack_options {
    const char *out;
    bool force, verify;
};

static enum incise_status run(const struct tool_global *global, void *block, char **arguments, size_t n)
{
    const struct pack_options *options = block;
    struct incise_load_options load;
    struct incise_engine *engine = NULL;
    (void)n;
    if (options->verify == (options->out != NULL))
        return tool_fail(INCISE_ERROR_USAGE, "pack: use MODEL -o FILE to write a file, or --verify FILE to check one");
    enum incise_status status = tool_engine(global, &engine);
    if (status != INCISE_OK) return status;
    incise_load_options_init(&load);
    load.compute = (enum incise_compute)global->compute;
    status = options->verify ? incise_model_verify(engine, arguments[0])
                             : incise_model_pack(engine, arguments[0], &load, options->out, options->force);
    incise_engine_destroy(engine);
    return status;
}

#define OPTION(...) TOOL_OPTION(pack_options, __VA_ARGS__)
static const struct tool_option options[] = {
    OPTION("output", 'o', TOOL_TEXT, out, "FILE", "file to write: a MODEL for the commands that run one"),
    OPTION("force", 'f', TOOL_FLAG, force, NULL, "replace FILE if it exists"),
    OPTION("verify", 0, TOOL_FLAG, verify, NULL,
           "MODEL is such a file: read all of it and of its model, compare hashes"),
};

const struct tool_command tool_pack = {
    .name = "pack",
    .arguments = "MODEL -o FILE",
    .summary = "keep weights packed for this CPU in a file, which starts fast",
    TOOL_TABLE(options, pack_options),
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};
