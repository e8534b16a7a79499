/* SPDX-License-Identifier: Apache-2.0 */
/* One command per cmd_<name>.c. */
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

#include "tool.h"

extern const struct tool_command tool_inspect, tool_convert, tool_statistics, tool_prune, tool_quantize, tool_run;
extern const struct tool_command tool_benchmark, tool_evaluate, tool_embed, tool_merge, tool_tokenize, tool_pack;
extern const struct tool_command tool_devices;

#endif
