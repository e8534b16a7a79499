/* SPDX-License-Identifier: Apache-2.0 */
/* The command table, in the order of the help text: what is there, what changes it, what runs and measures it. */
#include "commands.h"

const struct tool_command *const tool_commands[] = {
    &tool_inspect,   &tool_convert,  &tool_statistics, &tool_prune, &tool_quantize, &tool_run,
    &tool_benchmark, &tool_evaluate, &tool_embed,      &tool_merge, &tool_tokenize, &tool_pack,
    &tool_devices,
};
const size_t tool_n_commands = sizeof tool_commands / sizeof tool_commands[0];
