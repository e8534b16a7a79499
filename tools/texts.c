/* SPDX-License-Identifier: Apache-2.0 */
#include "texts.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK    512        /* texts between two looks at the progress */
#define MAX_LINE (64 << 20) /* bytes: what is longer is no text but a mistake */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

enum incise_status texts_open(struct texts_reader *reader, const char *path, enum texts_form form)
{
    bool is_stdin = path == NULL || strcmp(path, "-") == 0;
    struct stat about;
    *reader = (struct texts_reader){
        .file = is_stdin ? stdin : NULL, .name = is_stdin ? "stdin" : path, .form = form, .shards = 1};
    if (form == TEXTS_AUTO)
        reader->form = ends_with(reader->name, ".jsonl") ? TEXTS_JSONL
                       : ends_with(reader->name, ".tsv") ? TEXTS_TSV
                                                         : TEXTS_LINES;
    if (!is_stdin) reader->file = fopen(path, "rb");
    if (reader->file == NULL) return tool_fail(INCISE_ERROR_NO_INPUT, "%s: %s", path, strerror(errno));
    if (fstat(fileno(reader->file), &about) != 0) return INCISE_OK;
    if (S_ISREG(about.st_mode)) reader->size = (uint64_t)about.st_size;
    if (!S_ISDIR(about.st_mode)) return INCISE_OK;
    texts_close(reader);
    return tool_fail(INCISE_ERROR_NO_INPUT, "%s: is a folder; give a file of texts", reader->name);
}

void texts_close(struct texts_reader *reader)
{
    if (reader->file != NULL && reader->file != stdin) fclose(reader->file);
    reader->file = NULL;
    free(reader->buffer);
    reader->buffer = NULL;
}

enum incise_status texts_append(struct texts *texts, size_t line, const char *text, size_t length)
{
    if (texts->n == texts->capacity) {
        size_t capacity = texts->capacity > 0 ? 2 * texts->capacity : 64;
        char **items = realloc(texts->items, capacity * sizeof *items);
        if (items != NULL) texts->items = items;
        size_t *lengths = realloc(texts->lengths, capacity * sizeof *lengths);
        if (lengths != NULL) texts->lengths = lengths;
        size_t *lines = realloc(texts->lines, capacity * sizeof *lines);
        if (lines != NULL) texts->lines = lines;
        if (items == NULL || lengths == NULL || lines == NULL) return tool_fail(INCISE_ERROR_MEMORY, "out of memory");
        texts->capacity = capacity;
    }
    char *copy = malloc(length + 1);
    if (copy == NULL) return tool_fail(INCISE_ERROR_MEMORY, "out of memory");
    memcpy(copy, text, length);
    copy[length] = '\0';
    texts->items[texts->n] = copy;
    texts->lines[texts->n] = line;
    texts->lengths[texts->n++] = length;
    texts->bytes += length;
    return INCISE_OK;
}

static enum incise_status append_json(const struct texts_reader *reader, struct texts *texts, size_t length)
{
    json_error_t error;
    json_t *object = json_loadb(reader->buffer, length, JSON_ALLOW_NUL, &error);
    const json_t *text = json_object_get(object, "text");
    enum incise_status status;
    if (object == NULL)
        status = tool_fail(INCISE_ERROR_DATA, "%s: line %zu: %s", reader->name, reader->line, error.text);
    else if (!json_is_string(text))
        status = tool_fail(INCISE_ERROR_DATA, "%s: line %zu: an object with a string 'text' is wanted", reader->name,
                           reader->line);
    else
        status = texts_append(texts, reader->line, json_string_value(text), json_string_length(text));
    json_decref(object);
    return status;
}

/* Reads up to and with the next line feed into reader->buffer, but no more than MAX_LINE bytes. */
static ssize_t read_bytes(struct texts_reader *reader)
{
    size_t n = 0;
    for (int c = 0; c != '\n' && n <= MAX_LINE && (c = getc_unlocked(reader->file)) != EOF; n++) {
        if (n + 1 >= reader->capacity) {
            size_t capacity = 2 * reader->capacity + 256;
            char *buffer = realloc(reader->buffer, capacity);
            if (buffer == NULL) return -1;
            reader->buffer = buffer;
            reader->capacity = capacity;
        }
        reader->buffer[n] = (char)c;
    }
    return (ssize_t)n;
}

enum incise_status texts_next_line(struct texts_reader *reader, size_t *length, bool *more)
{
    ssize_t n = read_bytes(reader);
    if (n < 0) return tool_fail(INCISE_ERROR_MEMORY, "out of memory");
    if (ferror(reader->file)) return tool_fail(INCISE_ERROR_IO, "%s: cannot read", reader->name);
    *more = n > 0;
    if (n == 0) return INCISE_OK;
    reader->line++;
    reader->bytes += (uint64_t)n;
    if (n > MAX_LINE)
        return tool_fail(INCISE_ERROR_DATA, "%s: line %zu has more than %d MiB", reader->name, reader->line,
                         MAX_LINE >> 20);
    if (reader->digest != NULL) digest_add(reader->digest, reader->buffer, (size_t)n);
    if (reader->buffer[n - 1] == '\n') n--;
    if (n > 0 && reader->buffer[n - 1] == '\r') n--;
    reader->buffer[n] = '\0';
    *length = (size_t)n;
    return INCISE_OK;
}

static enum incise_status append_line(const struct texts_reader *reader, struct texts *texts, size_t length)
{
    if (reader->form == TEXTS_JSONL) return append_json(reader, texts, length);
    const char *tab = reader->form == TEXTS_TSV ? memchr(reader->buffer, '\t', length) : NULL;
    return texts_append(texts, reader->line, reader->buffer, tab != NULL ? (size_t)(tab - reader->buffer) : length);
}

enum incise_status texts_read(struct texts_reader *reader, size_t limit, size_t max_bytes, struct texts *texts)
{
    enum incise_status status = INCISE_OK;
    for (bool more = true; status == INCISE_OK && texts->n < limit && texts->bytes < max_bytes;) {
        size_t length;
        status = texts_next_line(reader, &length, &more);
        if (status != INCISE_OK || !more) break;
        if ((reader->line - 1) % reader->shards == reader->shard) status = append_line(reader, texts, length);
    }
    return status;
}

enum incise_status texts_skip(struct texts_reader *reader, size_t line)
{
    enum incise_status status = INCISE_OK;
    size_t length;
    for (bool more = true; more && reader->line < line && status == INCISE_OK;)
        status = texts_next_line(reader, &length, &more);
    return status;
}

void texts_clear(struct texts *texts)
{
    for (size_t i = 0; i < texts->n; i++) free(texts->items[i]);
    texts->n = texts->bytes = 0;
}

void texts_release(struct texts *texts)
{
    texts_clear(texts);
    free(texts->items);
    free(texts->lengths);
    free(texts->lines);
    *texts = (struct texts){0};
}

enum incise_status texts_load(const char *path, struct texts *texts)
{
    struct texts_reader reader;
    enum incise_status status = texts_open(&reader, path, TEXTS_AUTO);
    if (status != INCISE_OK) return status;
    status = texts_read(&reader, SIZE_MAX, SIZE_MAX, texts);
    texts_close(&reader);
    if (status == INCISE_OK && texts->n == 0) status = tool_fail(INCISE_ERROR_DATA, "%s: holds no text", path);
    return status;
}

/* ---- vectors --------------------------------------------------------------------------------------------------- */

float *texts_embed(struct incise_embedder *embedder, const struct texts *texts, const char *prompt, const char *what,
                   enum incise_status *status)
{
    size_t width = incise_embedder_width(embedder);
    float *vectors = tool_alloc(texts->n, width * sizeof *vectors);
    *status = vectors == NULL ? INCISE_ERROR_MEMORY : INCISE_OK;
    for (size_t i = 0; i < texts->n && *status == INCISE_OK; i += CHUNK) {
        struct incise_text_batch batch = {.texts = (const char *const *)texts->items + i,
                                          .lengths = texts->lengths + i,
                                          .n = texts->n - i < CHUNK ? texts->n - i : CHUNK,
                                          .prompt = prompt,
                                          .numbers = texts->lines + i};
        tool_progress(what, i, texts->n, "");
        *status = incise_embedder_run(embedder, &batch, vectors + i * width, NULL);
    }
    if (*status == INCISE_OK) {
        tool_progress(what, texts->n, texts->n, "");
        return vectors;
    }
    free(vectors);
    return NULL;
}
