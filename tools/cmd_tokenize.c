/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "commands.h"
#include "incise/tokenizer.h"
#include "texts.h"

#define CHUNK       256 /* texts read at a time, */
#define CHUNK_BYTES ((size_t)1 << 20) /* or until they have so many bytes */

struct tokenize_options {
    int from;
    long max_length;
    bool no_parse_special;
};

#define OPTION(...) TOOL_OPTION(tokenize_options, __VA_ARGS__)
static const struct tool_option options_table[] = {
    OPTION("from", 0, TOOL_CHOICE, from, "auto|lines|jsonl|tsv",
           "form of the texts: jsonl has a `text`, of tsv the first column is taken (default: by the name, else "
           "lines)"),
    OPTION("max-length", 0, TOOL_INT, max_length, "N",
           "tokens per text; longer ones are cut (default: as the tokenizer says)"),
    OPTION("no-parse-special", 0, TOOL_FLAG, no_parse_special, NULL,
           "special tokens written in a text are text; for text of strangers"),
};

struct tokenize_job {
    struct incise_engine *engine;
    struct incise_tokenizer *tokenizer;
    struct incise_tokenize_options options;
    enum tool_format format;
    size_t text;
};

/* An element of the array that the texts are, on a line of its own. */
static enum incise_status print_json(const struct tokenize_job *job, const struct incise_token *tokens, size_t n,
                                     int truncated)
{
    static const char *const keys[] = {"ids", "tokens", "offsets"};
    json_t *lists[3] = {json_array(), json_array(), json_array()};
    json_t *object = json_object();
    int failed = json_object_set_new(object, "text", json_integer((json_int_t)job->text));
    for (size_t i = 0; i < n; i++) {
        json_t *offsets = json_pack("[I,I]", (json_int_t)tokens[i].start, (json_int_t)tokens[i].end);
        failed |= json_array_append_new(lists[0], json_integer(tokens[i].id));
        failed |= json_array_append_new(lists[1], json_stringn(tokens[i].name, tokens[i].name_length));
        failed |= json_array_append_new(lists[2], offsets);
    }
    for (int k = 0; k < 3; k++) failed |= json_object_set_new(object, keys[k], lists[k]);
    failed |= json_object_set_new(object, "truncated", json_boolean(truncated));
    fputs(job->text == 0 ? "[\n" : ",\n", stdout);
    bool printed = failed == 0 && json_dumpf(object, stdout, JSON_COMPACT) == 0;
    json_decref(object);
    if (printed) return INCISE_OK;
    return failed != 0 ? tool_fail(INCISE_ERROR_MEMORY, "out of memory") : tool_fail_stdout();
}

/* A name between quotes: as JSON has it, or with `csv` as CSV has it. */
static void print_name(const struct incise_token *token, bool csv)
{
    putchar('"');
    for (size_t i = 0; i < token->name_length; i++) {
        unsigned char c = (unsigned char)token->name[i];
        if (csv && c == '"') putchar('"');
        if (csv || (c >= ' ' && c != '"' && c != '\\' && c != 0x7f))
            putchar(c);
        else if (c == '\n')
            fputs("\\n", stdout);
        else if (c == '"' || c == '\\')
            printf("\\%c", c);
        else
            printf("\\u%04x", c);
    }
    putchar('"');
}

/* A row per token. */
static void print_rows(const struct tokenize_job *job, const struct incise_token *tokens, size_t n)
{
    static const char *const heads[] = {"  text        id     start       end  token\n", "",
                                        "text,id,start,end,token\n",
                                        "| text | id | start | end | token |\n|---:|---:|---:|---:|---|\n"};
    if (job->text == 0) fputs(heads[job->format], stdout);
    for (size_t i = 0; i < n; i++) {
        const struct incise_token *token = &tokens[i];
        if (job->format == TOOL_TABLE)
            printf("%6zu  %8d  %8zu  %8zu  ", job->text, token->id, token->start, token->end);
        else if (job->format == TOOL_CSV)
            printf("%zu,%d,%zu,%zu,", job->text, token->id, token->start, token->end);
        else
            printf("| %zu | %d | %zu | %zu | ", job->text, token->id, token->start, token->end);
        print_name(token, job->format == TOOL_CSV);
        puts(job->format == TOOL_MD ? " |" : "");
    }
}

static enum incise_status tokenize(struct tokenize_job *job, const char *text, size_t length)
{
    struct incise_token *tokens;
    size_t n;
    int truncated;
    enum incise_status status =
        incise_tokenizer_run(job->tokenizer, text, length, &job->options, &tokens, &n, &truncated);
    if (status != INCISE_OK) return tool_fail(status, "text %zu cannot be tokenized", job->text);
    if (job->format == TOOL_JSON)
        status = print_json(job, tokens, n, truncated);
    else
        print_rows(job, tokens, n);
    incise_tokens_free(job->tokenizer, tokens);
    job->text++;
    return status;
}

static enum incise_status tokenize_input(struct tokenize_job *job, struct texts_reader *reader)
{
    enum incise_status status = INCISE_OK;
    size_t n;
    do {
        struct texts texts = {0};
        status = texts_read(reader, CHUNK, CHUNK_BYTES, &texts);
        n = texts.n;
        for (size_t i = 0; i < n && status == INCISE_OK; i++) status = tokenize(job, texts.items[i], texts.lengths[i]);
        texts_release(&texts);
    } while (status == INCISE_OK && n > 0 && !ferror(stdout));
    if (job->format == TOOL_JSON && status == INCISE_OK) fputs(job->text == 0 ? "[]\n" : "\n]\n", stdout);
    return status;
}

static enum incise_status run(const struct tool_global *global, void *block, char **arguments, size_t n)
{
    const struct tokenize_options *options = block;
    struct tokenize_job job = {.format = (enum tool_format)global->format};
    struct texts_reader reader;
    if (options->max_length < 0) return tool_fail(INCISE_ERROR_USAGE, "--max-length takes a number above 0");
    incise_tokenize_options_init(&job.options);
    job.options.max_tokens = (size_t)options->max_length;
    job.options.no_parse_special = options->no_parse_special;
    enum incise_status status = tool_engine(global, &job.engine);
    if (status == INCISE_OK) status = incise_tokenizer_create(job.engine, arguments[0], &job.tokenizer);
    if (status == INCISE_OK) status = texts_open(&reader, n > 1 ? arguments[1] : NULL, (enum texts_form)options->from);
    if (status == INCISE_OK) {
        status = tokenize_input(&job, &reader);
        texts_close(&reader);
    }
    incise_tokenizer_destroy(job.tokenizer);
    incise_engine_destroy(job.engine);
    return status;
}

const struct tool_command tool_tokenize = {
    .name = "tokenize",
    .arguments = "MODEL [FILE]",
    .summary = "texts to tokens: ids, how the vocabulary writes them, and their bytes in the text",
    TOOL_TABLE(options_table, tokenize_options),
    .min_arguments = 1,
    .max_arguments = 2,
    .run = run,
};
