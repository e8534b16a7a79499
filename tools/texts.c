/* SPDX-License-Identifier: Apache-2.0 */
#include "texts.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK 512 /* texts between two looks at the progress */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

enum incise_status texts_open(struct texts_reader *reader, const char *path, enum texts_form form)
{
    bool is_stdin = path == NULL || strcmp(path, "-") == 0;
    struct stat about;
    *reader = (struct texts_reader){.file = is_stdin ? stdin : NULL, .name = is_stdin ? "stdin" : path, .form = form};
    if (form == TEXTS_AUTO)
        reader->form = ends_with(reader->name, ".jsonl") ? TEXTS_JSONL
                       : ends_with(reader->name, ".tsv") ? TEXTS_TSV
                                                         : TEXTS_LINES;
    if (is_stdin) return INCISE_OK;
    reader->file = fopen(path, "rb");
    if (reader->file == NULL) return tool_fail(INCISE_ERROR_NO_INPUT, "%s: %s", path, strerror(errno));
    if (fstat(fileno(reader->file), &about) == 0 && !S_ISDIR(about.st_mode)) return INCISE_OK;
    texts_close(reader);
    return tool_fail(INCISE_ERROR_NO_INPUT, "%s: is a folder; give a file of texts", path);
}

void texts_close(struct texts_reader *reader)
{
    if (reader->file != NULL && reader->file != stdin) fclose(reader->file);
    reader->file = NULL;
}

enum incise_status texts_append(struct texts *texts, const char *text, size_t length)
{
    if (texts->n == texts->capacity) {
        size_t capacity = texts->capacity > 0 ? 2 * texts->capacity : 64;
        char **items = realloc(texts->items, capacity * sizeof *items);
        if (items != NULL) texts->items = items;
        size_t *lengths = realloc(texts->lengths, capacity * sizeof *lengths);
        if (lengths != NULL) texts->lengths = lengths;
        if (items == NULL || lengths == NULL) return tool_fail(INCISE_ERROR_MEMORY, "out of memory");
        texts->capacity = capacity;
    }
    char *copy = malloc(length + 1);
    if (copy == NULL) return tool_fail(INCISE_ERROR_MEMORY, "out of memory");
    memcpy(copy, text, length);
    copy[length] = '\0';
    texts->items[texts->n] = copy;
    texts->lengths[texts->n++] = length;
    return INCISE_OK;
}

static enum incise_status append_json(const struct texts_reader *reader, struct texts *texts, const char *line,
                                      size_t length)
{
    json_error_t error;
    json_t *object = json_loadb(line, length, JSON_ALLOW_NUL, &error);
    const json_t *text = json_object_get(object, "text");
    enum incise_status status;
    if (object == NULL)
        status = tool_fail(INCISE_ERROR_DATA, "%s: line %zu: %s", reader->name, reader->line, error.text);
    else if (!json_is_string(text))
        status = tool_fail(INCISE_ERROR_DATA, "%s: line %zu: an object with a string 'text' is wanted", reader->name,
                           reader->line);
    else
        status = texts_append(texts, json_string_value(text), json_string_length(text));
    json_decref(object);
    return status;
}

ssize_t texts_next_line(struct texts_reader *reader, char **line, size_t *capacity)
{
    ssize_t length = getline(line, capacity, reader->file);
    if (length < 0) return -1;
    reader->line++;
    if (length > 0 && (*line)[length - 1] == '\n') length--;
    if (length > 0 && (*line)[length - 1] == '\r') length--;
    (*line)[length] = '\0';
    return length;
}

enum incise_status texts_end(const struct texts_reader *reader)
{
    return ferror(reader->file) ? tool_fail(INCISE_ERROR_IO, "%s: cannot read", reader->name) : INCISE_OK;
}

enum incise_status texts_read(struct texts_reader *reader, size_t limit, struct texts *texts)
{
    char *line = NULL;
    size_t capacity = 0;
    enum incise_status status = INCISE_OK;
    for (size_t i = 0; i < limit && status == INCISE_OK; i++) {
        ssize_t length = texts_next_line(reader, &line, &capacity);
        if (length < 0) break;
        if (reader->form == TEXTS_JSONL) {
            status = append_json(reader, texts, line, (size_t)length);
            continue;
        }
        const char *tab = reader->form == TEXTS_TSV ? memchr(line, '\t', (size_t)length) : NULL;
        status = texts_append(texts, line, tab != NULL ? (size_t)(tab - line) : (size_t)length);
    }
    free(line);
    return status == INCISE_OK ? texts_end(reader) : status;
}

void texts_release(struct texts *texts)
{
    for (size_t i = 0; i < texts->n; i++) free(texts->items[i]);
    free(texts->items);
    free(texts->lengths);
    *texts = (struct texts){0};
}

enum incise_status texts_load(const char *path, struct texts *texts)
{
    struct texts_reader reader;
    enum incise_status status = texts_open(&reader, path, TEXTS_AUTO);
    if (status != INCISE_OK) return status;
    status = texts_read(&reader, SIZE_MAX, texts);
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
                                          .first = i};
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
