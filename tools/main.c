/* SPDX-License-Identifier: Apache-2.0 */
/* incise COMMAND [options] ARGUMENTS */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static const struct tool_command *find_command(const char *name)
{
    for (size_t i = 0; i < tool_n_commands; i++)
        if (strcmp(tool_commands[i]->name, name) == 0) return tool_commands[i];
    return NULL;
}

static enum incise_status run_command(const struct tool_command *command, int argc, char **argv)
{
    struct tool_global global = {.log = INCISE_LOG_WARNING};
    size_t n = 0;
    void *options = calloc(1, command->options_bytes + 1);
    if (options == NULL) return tool_fail(INCISE_ERROR_MEMORY, "out of memory");
    if (command->defaults != NULL) command->defaults(options);
    enum incise_status status = tool_parse(command, argc, argv, &global, options, &n);
    if (status == INCISE_OK && global.help)
        tool_print_help(command);
    else if (status == INCISE_OK)
        status = command->run(&global, options, argv, n);
    for (size_t i = 0; i < command->n_options; i++)
        if (command->options[i].kind == TOOL_LIST)
            free(((struct tool_list *)(void *)((char *)options + command->options[i].offset))->items);
    free(options);
    return status;
}

/* A full disk behind stdout must not look like success. */
static enum incise_status close_output(enum incise_status status)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    if (status != INCISE_OK) return status;
    return tool_fail_stdout();
}

int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN); /* a file size limit becomes an error of write() */
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        tool_print_help(NULL);
        return argc < 2 ? INCISE_ERROR_USAGE : (int)close_output(INCISE_OK);
    }
    const struct tool_command *command = find_command(argv[1]);
    if (command == NULL) return (int)tool_fail(INCISE_ERROR_USAGE, "unknown command '%s' (see incise --help)", argv[1]);
    return (int)close_output(run_command(command, argc - 2, argv + 2));
}
