/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of texts: retrieval and scored similarity. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "texts.h"

/* ---- lines ----------------------------------------------------------------------------------------------------- */

/* What a kind of file holds: two texts, perhaps a score. */
struct pair_form {
    const char *keys[2]; /* of JSONL */
    bool scored;
    const char *wanted; /* for messages */
};
static const struct pair_form retrieval_form = {{"query", "document"}, false, "query<TAB>document"};
static const struct pair_form scored_form = {{"sentence1", "sentence2"}, true, "text<TAB>text<TAB>score"};

struct pair_line {
    const char *text[2]; /* into the line or `object` */
    size_t length[2];
    double score;
    json_t *object;
    size_t number; /* of the line */
};

/* Whether `line`, which ends at a NUL, has the form's columns; of the last one tabs are part, unless it is a score. */
static bool split_columns(const struct pair_form *form, char *line, size_t length, struct pair_line *pair)
{
    char *tab = memchr(line, '\t', length), *end;
    if (tab == NULL) return false;
    pair->text[0] = line;
    pair->length[0] = (size_t)(tab - line);
    pair->text[1] = tab + 1;
    pair->length[1] = length - pair->length[0] - 1;
    if (!form->scored) return true;
    tab = memchr(pair->text[1], '\t', pair->length[1]);
    if (tab == NULL) return false;
    pair->length[1] = (size_t)(tab - pair->text[1]);
    pair->score = strtod(tab + 1, &end);
    return end > tab + 1 && *end == '\0' && end == line + length && isfinite(pair->score);
}

static bool find_keys(const struct pair_form *form, const char *line, size_t length, struct pair_line *pair)
{
    pair->object = json_loadb(line, length, JSON_ALLOW_NUL, NULL);
    for (int i = 0; i < 2; i++) {
        const json_t *text = json_object_get(pair->object, form->keys[i]);
        if (!json_is_string(text)) return false;
        pair->text[i] = json_string_value(text);
        pair->length[i] = json_string_length(text);
    }
    const json_t *score = json_object_get(pair->object, "score");
    pair->score = json_number_value(score);
    return !form->scored || json_is_number(score);
}

/* Hands each line's pair to `add`. */
static enum incise_status read_pairs(const char *path, const struct pair_form *form,
                                     enum incise_status (*add)(void *user, const struct pair_line *pair), void *user)
{
    struct texts_reader reader;
    enum incise_status status = texts_open(&reader, path, TEXTS_AUTO);
    bool jsonl = reader.form == TEXTS_JSONL;
    while (status == INCISE_OK) {
        size_t length;
        bool more;
        status = texts_next_line(&reader, &length, &more);
        if (status != INCISE_OK || !more) break;
        struct pair_line pair = {.number = reader.line};
        if (jsonl ? find_keys(form, reader.buffer, length, &pair) : split_columns(form, reader.buffer, length, &pair))
            status = add(user, &pair);
        else
            status = tool_fail(INCISE_ERROR_DATA, "%s: line %zu: write %s%s%s%s%s", reader.name, reader.line,
                               jsonl ? "an object with strings " : form->wanted, jsonl ? form->keys[0] : "",
                               jsonl ? " and " : "", jsonl ? form->keys[1] : "",
                               jsonl && form->scored ? " and a number score" : "");
        json_decref(pair.object);
    }
    if (status == INCISE_OK && reader.line == 0) status = tool_fail(INCISE_ERROR_DATA, "%s: holds no pair", path);
    texts_close(&reader);
    return status;
}

/* ---- retrieval ------------------------------------------------------------------------------------------------- */

struct keyed {
    const char *text;
    size_t length, index;
};

static int compare_texts(const struct keyed *x, const struct keyed *y)
{
    int order = memcmp(x->text, y->text, x->length < y->length ? x->length : y->length);
    return order != 0 ? order : x->length < y->length ? -1 : x->length > y->length;
}

static int by_text(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    int order = compare_texts(x, y);
    return order != 0 ? order : x->index < y->index ? -1 : x->index > y->index;
}

/* Moves the different ones of `all` to `unique`, in the order of their first use; which[i] is where all[i] went. */
static enum incise_status unify(const struct texts *all, struct texts *unique, size_t *which)
{
    struct keyed *keyed = tool_alloc(all->n, sizeof *keyed);
    enum incise_status status = keyed == NULL ? INCISE_ERROR_MEMORY : INCISE_OK;
    for (size_t i = 0; i < all->n && status == INCISE_OK; i++)
        keyed[i] = (struct keyed){all->items[i], all->lengths[i], i};
    if (status == INCISE_OK) qsort(keyed, all->n, sizeof *keyed, by_text);
    for (size_t i = 0; i < all->n && status == INCISE_OK; i++) /* first use of the same text */
        which[keyed[i].index] = i > 0 && compare_texts(&keyed[i], &keyed[i - 1]) == 0 ? which[keyed[i - 1].index]
                                                                                      : keyed[i].index;
    for (size_t i = 0; i < all->n && status == INCISE_OK; i++) {
        bool first = which[i] == i;
        which[i] = first ? unique->n : which[which[i]];
        if (first) status = texts_append(unique, all->lines[i], all->items[i], all->lengths[i]);
    }
    free(keyed);
    return status;
}

/* Queries and documents of all lines. */
static enum incise_status add_sides(void *user, const struct pair_line *pair)
{
    struct texts *sides = user;
    enum incise_status status = texts_append(&sides[0], pair->number, pair->text[0], pair->length[0]);
    return status == INCISE_OK ? texts_append(&sides[1], pair->number, pair->text[1], pair->length[1]) : status;
}

enum incise_status text_pairs_load(const char *path, struct text_pairs *pairs)
{
    struct texts sides[2] = {{0}};
    *pairs = (struct text_pairs){0};
    enum incise_status status = read_pairs(path, &retrieval_form, add_sides, sides);
    if (status == INCISE_OK) {
        pairs->n = sides[0].n;
        pairs->query = tool_alloc(pairs->n, sizeof *pairs->query);
        pairs->document = tool_alloc(pairs->n, sizeof *pairs->document);
        if (pairs->query == NULL || pairs->document == NULL) status = INCISE_ERROR_MEMORY;
    }
    if (status == INCISE_OK) status = unify(&sides[0], &pairs->queries, pairs->query);
    if (status == INCISE_OK) status = unify(&sides[1], &pairs->documents, pairs->document);
    texts_release(&sides[0]);
    texts_release(&sides[1]);
    return status;
}

void text_pairs_release(struct text_pairs *pairs)
{
    texts_release(&pairs->queries);
    texts_release(&pairs->documents);
    free(pairs->query);
    free(pairs->document);
}

/* ---- calibration ----------------------------------------------------------------------------------------------- */

static enum incise_status add_columns(void *user, const struct pair_line *pair)
{
    struct texts *texts = user;
    enum incise_status status = texts_append(texts, pair->number, pair->text[1], pair->length[1]);
    return status == INCISE_OK ? texts_append(texts, pair->number, pair->text[0], pair->length[0]) : status;
}

enum incise_status calibration_texts_load(const char *path, struct texts *texts)
{
    size_t length = strlen(path);
    bool columns = length > 4 && strcmp(path + length - 4, ".tsv") == 0;
    return columns ? read_pairs(path, &retrieval_form, add_columns, texts) : texts_load(path, texts);
}

/* ---- scored pairs ---------------------------------------------------------------------------------------------- */

static enum incise_status add_scored(void *user, const struct pair_line *pair)
{
    struct scored_pairs *pairs = user;
    if (pairs->n == pairs->capacity) {
        size_t capacity = pairs->capacity > 0 ? 2 * pairs->capacity : 64;
        double *scores = realloc(pairs->scores, capacity * sizeof *scores);
        if (scores == NULL) return tool_fail(INCISE_ERROR_MEMORY, "out of memory");
        pairs->scores = scores;
        pairs->capacity = capacity;
    }
    pairs->scores[pairs->n++] = pair->score;
    enum incise_status status = texts_append(&pairs->texts, pair->number, pair->text[0], pair->length[0]);
    return status == INCISE_OK ? texts_append(&pairs->texts, pair->number, pair->text[1], pair->length[1]) : status;
}

enum incise_status scored_pairs_load(const char *path, struct scored_pairs *pairs)
{
    *pairs = (struct scored_pairs){0};
    return read_pairs(path, &scored_form, add_scored, pairs);
}

void scored_pairs_release(struct scored_pairs *pairs)
{
    texts_release(&pairs->texts);
    free(pairs->scores);
}
