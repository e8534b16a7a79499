/* SPDX-License-Identifier: Apache-2.0 */
/* Option tables: parsing, environment twins, help. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

#define GLOBAL(name, letter, kind, field, values, help, environment)                                                   \
    {                                                                                                                  \
        name, letter, kind, offsetof(struct tool_global, field), values, help, environment                             \
    }

static const struct tool_option global_options[] = {
    GLOBAL("threads", 't', TOOL_INT, threads, "N", "worker threads (default: what affinity and cgroup allow)",
           "INCISE_THREADS"),
    GLOBAL("isa", 0, TOOL_CHOICE, isa, "auto|scalar|avx2|avx512|vnni|bf16", "highest instruction set to use",
           "INCISE_ISA"),
    GLOBAL("device", 'd', TOOL_CHOICE, device, "cpu", "where to run", "INCISE_DEVICE"),
    GLOBAL("compute", 0, TOOL_CHOICE, compute, "auto|float|int8|int8-attention",
           "auto: as the model's rt_info says; int8: integer weights times rows quantized on the fly; "
           "int8-attention: attention too",
           "INCISE_COMPUTE"),
    GLOBAL("log", 0, TOOL_CHOICE, log, "error|warning|info|debug", "what is reported on stderr (default: warning)",
           "INCISE_LOG"),
    GLOBAL("cache-dir", 0, TOOL_TEXT, cache_dir, "DIR", "where caches of tokenizers are kept (default: nowhere)",
           "INCISE_CACHE_DIR"),
    GLOBAL("max-memory", 0, TOOL_BYTES, max_memory, "BYTES",
           "limit such as 4G (default: 80 % of the machine's or cgroup's)", "INCISE_MAX_MEMORY"),
    GLOBAL("format", 0, TOOL_CHOICE, format, "table|json|csv|md", "of results on stdout", "INCISE_FORMAT"),
    GLOBAL("help", 'h', TOOL_FLAG, help, NULL, "this text", NULL),
};
#define N_GLOBAL (sizeof global_options / sizeof global_options[0])

/* ---- parsing --------------------------------------------------------------------------------------------------- */

static bool parse_choice(const char *values, const char *text, int *index)
{
    size_t length = strlen(text);
    *index = 0;
    for (const char *at = values;; (*index)++) {
        size_t n = strcspn(at, "|");
        if (n == length && memcmp(at, text, n) == 0) return true;
        if (at[n] == '\0') return false;
        at += n + 1;
    }
}

static bool parse_bytes(const char *text, size_t *bytes)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (end == text || errno != 0 || text[0] == '-' || end[shift > 0] != '\0' || number > SIZE_MAX >> shift)
        return false;
    *bytes = (size_t)number << shift;
    return true;
}

static bool append(struct tool_list *list, const char *text)
{
    const char **items = realloc(list->items, (list->n + 1) * sizeof(char *));
    if (items == NULL) return false;
    list->items = items;
    items[list->n++] = text;
    return true;
}

/* Stores `text` as the value of `option`. */
static bool store(const struct tool_option *option, void *block, const char *text)
{
    void *field = (char *)block + option->offset;
    char *end;
    errno = 0;
    switch (option->kind) {
    case TOOL_FLAG: *(bool *)field = true; return true;
    case TOOL_TEXT: *(const char **)field = text; return true;
    case TOOL_LIST: return append(field, text);
    case TOOL_INT: *(long *)field = strtol(text, &end, 10); return end != text && *end == '\0' && errno == 0;
    case TOOL_REAL:
        *(double *)field = strtod(text, &end);
        return end != text && *end == '\0' && errno == 0 && isfinite(*(double *)field);
    case TOOL_CHOICE: return parse_choice(option->values, text, field);
    case TOOL_BYTES: return parse_bytes(text, field);
    }
    return false;
}

static const struct tool_option *find_in(const struct tool_option *options, size_t n, const char *name, size_t length,
                                         char letter)
{
    for (size_t i = 0; i < n; i++)
        if (letter != 0 ? options[i].letter == letter
                        : strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0)
            return &options[i];
    return NULL;
}

/* One argument that starts with '-'. *value is what stood after '=' or behind the letter, or NULL. */
static const struct tool_option *find(const struct tool_command *command, const char *argument, const char **value,
                                      bool *global)
{
    char letter = argument[1] != '-' ? argument[1] : 0;
    const char *name = argument + 2;
    size_t length = letter != 0 ? 0 : strcspn(name, "=");
    *value = letter != 0 ? (argument[2] != '\0' ? argument + 2 : NULL) : name[length] == '=' ? name + length + 1 : NULL;
    const struct tool_option *option = find_in(command->options, command->n_options, name, length, letter);
    *global = option == NULL;
    return option != NULL ? option : find_in(global_options, N_GLOBAL, name, length, letter);
}

static enum incise_status bad_value(const struct tool_option *option, const char *where, const char *text)
{
    return tool_fail(INCISE_ERROR_USAGE, "%s%s: '%s' is not %s%s", option->environment == where ? "" : "--", where,
                     text, option->kind == TOOL_CHOICE ? "one of " : "a valid ",
                     option->values != NULL ? option->values : "value");
}

static enum incise_status from_environment(struct tool_global *global)
{
    for (size_t i = 0; i < N_GLOBAL; i++) {
        const struct tool_option *option = &global_options[i];
        const char *text = option->environment == NULL ? NULL : getenv(option->environment);
        if (text != NULL && text[0] != '\0' && !store(option, global, text))
            return bad_value(option, option->environment, text);
    }
    return INCISE_OK;
}

enum incise_status tool_parse(const struct tool_command *command, int argc, char **argv, struct tool_global *global,
                              void *options, size_t *n)
{
    bool only_positional = false;
    enum incise_status status = from_environment(global);
    if (status != INCISE_OK) return status;
    *n = 0;
    for (int i = 0; i < argc; i++) {
        const char *value;
        bool is_global;
        if (only_positional || argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[(*n)++] = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--") == 0) {
            only_positional = true;
            continue;
        }
        const struct tool_option *option = find(command, argv[i], &value, &is_global);
        if (option == NULL)
            return tool_fail(INCISE_ERROR_USAGE, "%s: unknown option %s (see incise %s --help)", command->name, argv[i],
                             command->name);
        if (option->kind == TOOL_FLAG && value != NULL)
            return tool_fail(INCISE_ERROR_USAGE, "--%s takes no value", option->name);
        if (option->kind != TOOL_FLAG && value == NULL && ++i < argc) value = argv[i];
        if (option->kind != TOOL_FLAG && value == NULL)
            return tool_fail(INCISE_ERROR_USAGE, "--%s needs %s", option->name, option->values);
        if (!store(option, is_global ? (void *)global : options, value)) return bad_value(option, option->name, value);
    }
    if (global->help) return INCISE_OK;
    if (*n < command->min_arguments || *n > command->max_arguments)
        return tool_fail(INCISE_ERROR_USAGE, "usage: incise %s %s (see incise %s --help)", command->name,
                         command->arguments, command->name);
    if (global->threads < 0 || global->threads > 1024) return tool_fail(INCISE_ERROR_USAGE, "--threads: use 1 to 1024");
    return INCISE_OK;
}

enum incise_status tool_parse_shard(const char *text, size_t *shard, size_t *shards)
{
    unsigned long i, n;
    int length = 0;
    bool digits = text[strspn(text, "0123456789/")] == '\0'; /* no blanks and signs */
    if (digits && sscanf(text, "%lu/%lu%n", &i, &n, &length) == 2 && text[length] == '\0' && i < n &&
        n <= TOOL_SHARDS) {
        *shard = i;
        *shards = n;
        return INCISE_OK;
    }
    return tool_fail(INCISE_ERROR_USAGE, "--shard: '%s' is not I/N with I from 0 to N - 1", text);
}

/* ---- help ------------------------------------------------------------------------------------------------------ */

static void print_option(const struct tool_option *option)
{
    char left[64];
    char letter[5] = "    ";
    if (option->letter != 0) snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(left, sizeof left, "  %s--%s%s%s", letter, option->name, option->values != NULL ? " " : "",
             option->values != NULL ? option->values : "");
    if (strlen(left) > 34)
        printf("%s\n%36s%s\n", left, "", option->help);
    else
        printf("%-36s%s\n", left, option->help);
}

void tool_print_help(const struct tool_command *command)
{
    if (command == NULL) {
        printf("usage: incise COMMAND [options] ARGUMENTS\n\nMakes transformer encoders fast and measures what that "
               "costs.\n\n");
        for (size_t i = 0; i < tool_n_commands; i++)
            printf("  %-12s%s\n", tool_commands[i]->name, tool_commands[i]->summary);
        printf("\n`incise COMMAND --help` tells a command's options. Options of every command:\n");
    } else {
        printf("usage: incise %s [options] %s\n\n%s\n\n", command->name, command->arguments, command->summary);
        for (size_t i = 0; i < command->n_options; i++) print_option(&command->options[i]);
        printf(command->n_options > 0 ? "\nOptions of every command:\n" : "Options of every command:\n");
    }
    for (size_t i = 0; i < N_GLOBAL; i++) print_option(&global_options[i]);
    printf("\nEach option of every command has an environment twin (INCISE_THREADS, INCISE_ISA, ...).\n");
}
