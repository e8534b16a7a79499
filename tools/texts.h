/* SPDX-License-Identifier: Apache-2.0 */
/* Texts for embed, evaluate and benchmark: a passage a line, JSONL (`text`) or TSV (first column). */
#ifndef TOOLS_TEXTS_H
#define TOOLS_TEXTS_H

#include "digest.h"
#include "incise/embed.h"
#include "tool.h"

enum texts_form { TEXTS_AUTO, TEXTS_LINES, TEXTS_JSONL, TEXTS_TSV };

/* Texts in memory of their own. */
struct texts {
    char **items; /* NUL after each, and perhaps inside: lengths count */
    size_t *lengths;
    size_t *lines; /* where each stands in its file, from 1 */
    size_t n, capacity;
    size_t bytes;
};

/* Reads record after record: each is a line. */
struct texts_reader {
    FILE *file;
    const char *name;
    enum texts_form form;
    size_t shard, shards;  /* only every line with (number - 1) % shards == shard is a text */
    size_t line;           /* lines read */
    uint64_t bytes, size;  /* bytes read, and of the whole file (0: unknown) */
    struct digest *digest; /* of the bytes read; NULL: not wanted */
    char *buffer;          /* the last line */
    size_t capacity;
};

/* `path` NULL or "-" is stdin. AUTO goes by the name: .jsonl, .tsv, else lines. */
enum incise_status texts_open(struct texts_reader *reader, const char *path, enum texts_form form);
/* Appends up to `limit` texts, fewer at the end, and none any more once they hold `max_bytes` bytes. */
enum incise_status texts_read(struct texts_reader *reader, size_t limit, size_t max_bytes, struct texts *texts);
/* Passes over lines until reader->line is `line`; stops early at the end. */
enum incise_status texts_skip(struct texts_reader *reader, size_t line);
void texts_close(struct texts_reader *reader);
/* Below texts_read: the next line, without its end, is in reader->buffer, and *more is false at the end of the file; a
 * copy of a text that stands in `line`. */
enum incise_status texts_next_line(struct texts_reader *reader, size_t *length, bool *more);
enum incise_status texts_append(struct texts *texts, size_t line, const char *text, size_t length);
void texts_clear(struct texts *texts); /* keeps the room of the lists */
void texts_release(struct texts *texts);

/* A whole file, which must hold a text. */
enum incise_status texts_load(const char *path, struct texts *texts);

/* Lines of `query<TAB>document`, or JSONL with those keys: each different query and document once, and which go
 * together. */
struct text_pairs {
    struct texts queries, documents;
    size_t *query, *document; /* of each pair */
    size_t n;
};
enum incise_status text_pairs_load(const char *path, struct text_pairs *pairs);
void text_pairs_release(struct text_pairs *pairs);

/* Texts to calibrate on, of any form; of lines with columns both are texts, the document before its query, as prompts
 * are given in turn. */
enum incise_status calibration_texts_load(const char *path, struct texts *texts);

/* Lines of `text<TAB>text<TAB>score`, or JSONL with sentence1, sentence2 and score: pair i is texts 2i and 2i + 1. */
struct scored_pairs {
    struct texts texts;
    double *scores;
    size_t n, capacity;
};
enum incise_status scored_pairs_load(const char *path, struct scored_pairs *pairs);
void scored_pairs_release(struct scored_pairs *pairs);

/* Vectors of all texts behind the prompt of that name (NULL: the model's default), n x width, with progress; free them.
 * NULL when it failed, with *status. */
float *texts_embed(struct incise_embedder *embedder, const struct texts *texts, const char *prompt, const char *what,
                   enum incise_status *status);

#endif
