/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of `incise` share: options as tables, the engine, rows of results in four formats, progress. */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "incise/engine.h"
#include "incise/model.h"

/* ---- options (options.c) --------------------------------------------------------------------------------------- */

enum tool_kind {
    TOOL_FLAG,   /* bool */
    TOOL_TEXT,   /* const char * */
    TOOL_LIST,   /* struct tool_list: repeatable */
    TOOL_INT,    /* long */
    TOOL_REAL,   /* double */
    TOOL_CHOICE, /* int: index of the word in `values`, words separated by '|' */
    TOOL_BYTES   /* size_t: a number with an optional K, M or G */
};

struct tool_list {
    const char **items;
    size_t n;
};

/* One option. The same row parses, fills the --help text and names the environment twin. */
struct tool_option {
    const char *name; /* "threads": --threads */
    char letter;      /* 'o': -o; 0 none */
    enum tool_kind kind;
    size_t offset;      /* of the field in the struct that is filled */
    const char *values; /* CHOICE: "table|json"; else what stands for the value in the help: "FILE" */
    const char *help;
    const char *environment; /* "INCISE_THREADS" or NULL */
};

/* A row of the table of a command whose options are a struct `block`. */
#define TOOL_OPTION(block, name, letter, kind, field, values, help)                                                    \
    {                                                                                                                  \
        name, letter, kind, offsetof(struct block, field), values, help, NULL                                          \
    }
/* That table and block, for struct tool_command. */
#define TOOL_TABLE(table, block)                                                                                       \
    .options = table, .n_options = sizeof table / sizeof table[0], .options_bytes = sizeof(struct block)

/* Options that every command has. */
struct tool_global {
    long threads;
    int isa; /* 0 = auto, else enum incise_isa + 1 */
    int device;
    int compute; /* enum incise_compute */
    int log;     /* enum incise_log_level */
    const char *cache_dir;
    size_t max_memory;
    int format; /* enum tool_format */
    bool help;
};

struct tool_command {
    const char *name;
    const char *arguments; /* "MODEL -o OUT" */
    const char *summary;   /* one line */
    const struct tool_option *options;
    size_t n_options;
    size_t min_arguments, max_arguments; /* positional */
    /* `options` points to a zeroed block of `options_bytes` that the table filled; `defaults` may fill it first. */
    size_t options_bytes;
    void (*defaults)(void *options);
    enum incise_status (*run)(const struct tool_global *global, void *options, char **arguments, size_t n);
};

extern const struct tool_command *const tool_commands[]; /* commands.c */
extern const size_t tool_n_commands;

/* Parses argv[0..argc) into `options` and `global`; positional arguments are moved to the front and counted in *n.
 * Prints what is wrong and returns INCISE_ERROR_USAGE. */
enum incise_status tool_parse(const struct tool_command *command, int argc, char **argv, struct tool_global *global,
                              void *options, size_t *n);
#define TOOL_SHARDS 1000000 /* at most */
/* "2/4": the third of four. Reports anything else. */
enum incise_status tool_parse_shard(const char *text, size_t *shard, size_t *shards);
void tool_print_help(const struct tool_command *command); /* NULL: of the tool */

/* ---- engine and messages (engine.c) ---------------------------------------------------------------------------- */

/* "incise: <text>" on stderr; returns `status`. */
enum incise_status tool_fail(enum incise_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* stdout could not be written; errno says why. */
enum incise_status tool_fail_stdout(void);
/* An engine as the global options ask, whose messages go to stderr. */
enum incise_status tool_engine(const struct tool_global *global, struct incise_engine **engine);
/* Progress on stderr, on a terminal only: "prune 12/36 name". Ends the line when done == total. */
void tool_progress(const char *what, size_t done, size_t total, const char *name);
/* The same for work whose end is known as a share only: "embed: 1200 texts, 61 %, 210/s, 1:23 left". */
struct tool_meter {
    const char *what, *unit; /* "embed", "texts" */
    double start;            /* tool_seconds() at the begin */
    size_t first;            /* units and share of the work that were done before the begin */
    double first_share;
};
void tool_meter_show(const struct tool_meter *meter, size_t done, double share); /* share < 0: not known */
void tool_meter_end(const struct tool_meter *meter, size_t done);
double tool_seconds(void); /* from an arbitrary point; never goes back */
/* malloc that ends in INCISE_ERROR_MEMORY at the caller's: NULL is returned and reported. */
void *tool_alloc(size_t count, size_t size);

/* ---- rows (rows.c) --------------------------------------------------------------------------------------------- */

enum tool_format { TOOL_TABLE, TOOL_JSON, TOOL_CSV, TOOL_MD };

struct tool_rows;

/* Results: named columns in a fixed order; cells not set are null. Numbers that are not finite are an error when
 * printed. */
struct tool_rows *tool_rows_create(void); /* NULL when memory is short */
void tool_rows_destroy(struct tool_rows *rows);
void tool_rows_next(struct tool_rows *rows); /* starts a row */
void tool_set_text(struct tool_rows *rows, const char *column, const char *text);
void tool_set_int(struct tool_rows *rows, const char *column, long long number);
/* `digits` after the point in tables; JSON and CSV print enough to read the same number back. */
void tool_set_real(struct tool_rows *rows, const char *column, double number, int digits);
void tool_set_null(struct tool_rows *rows, const char *column);
/* A pair such as a confidence interval: [lo, hi] in JSON. */
void tool_set_pair(struct tool_rows *rows, const char *column, double lo, double hi, int digits);
/* A member of a nested object: latency_ms {median: ...} in JSON, latency_ms.median elsewhere. */
void tool_set_member(struct tool_rows *rows, const char *column, const char *member, double number, int digits);
/* Hides a column in tables (it stays in JSON and CSV). */
void tool_hide(struct tool_rows *rows, const char *column);
/* Prints all rows on stdout: JSON as an array, or as one object when `single`. */
enum incise_status tool_rows_print(const struct tool_rows *rows, enum tool_format format, bool single);
/* The number in `column` of the last row. False if it is not there or null. */
bool tool_rows_number(const struct tool_rows *rows, const char *column, double *number);

/* ---- requirements (require.c) ---------------------------------------------------------------------------------- */

struct tool_requirement {
    char figure[64];
    const char *operator; /* static text */
    double bound;
};
/* INCISE_ERROR_USAGE, with a message, for a text that is none. */
enum incise_status tool_require_parse(const char *text, struct tool_requirement *requirement);
/* Before the work: INCISE_ERROR_USAGE when a text is no requirement on one of the `figures`. */
enum incise_status tool_require_check(const struct tool_list *requirements, const char *const *figures, size_t n);
/* Checks "cosine_mean>=0.99" (operators >= <= > < ==) against the last row, whose figures are those of model `of`.
 * Prints what failed; INCISE_ERROR_REQUIREMENT when a bound is not met, INCISE_ERROR_USAGE when a text is no
 * requirement or names no figure. */
enum incise_status tool_require(const struct tool_list *requirements, const struct tool_rows *rows, const char *of);

#endif
