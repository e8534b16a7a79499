/* SPDX-License-Identifier: Apache-2.0 */
/* Texts for embed, evaluate and benchmark: a passage a line, JSONL (`text`) or TSV (first column). */
#ifndef TOOLS_TEXTS_H
#define TOOLS_TEXTS_H

#include "incise/embed.h"
#include "tool.h"

enum texts_form { TEXTS_AUTO, TEXTS_LINES, TEXTS_JSONL, TEXTS_TSV };

/* Texts in memory of their own. */
struct texts {
    char **items; /* NUL after each, and perhaps inside: lengths count */
    size_t *lengths;
    size_t n, capacity;
};

struct texts_reader {
    FILE *file;
    const char *name;
    enum texts_form form;
    size_t line;
};

/* `path` NULL or "-" is stdin. AUTO goes by the name: .jsonl, .tsv, else lines. */
enum incise_status texts_open(struct texts_reader *reader, const char *path, enum texts_form form);
/* Appends up to `limit` texts; fewer at the end. */
enum incise_status texts_read(struct texts_reader *reader, size_t limit, struct texts *texts);
void texts_close(struct texts_reader *reader);
void texts_release(struct texts *texts);

/* A whole file, which must hold a text. */
enum incise_status texts_load(const char *path, struct texts *texts);

/* Lines of `query<TAB>document`: each different query and document once, and which go together. */
struct text_pairs {
    struct texts queries, documents;
    size_t *query, *document; /* of each pair */
    size_t n;
};
enum incise_status text_pairs_load(const char *path, struct text_pairs *pairs);
void text_pairs_release(struct text_pairs *pairs);

/* Vectors of all texts behind the prompt of that name (NULL: the model's default), n x width, with progress; free them.
 * NULL when it failed, with *status. */
float *texts_embed(struct incise_embedder *embedder, const struct texts *texts, const char *prompt, const char *what,
                   enum incise_status *status);

#endif
