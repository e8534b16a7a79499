/* SPDX-License-Identifier: Apache-2.0 */
/* How close a document is to a query, by the cosine of their vectors. usage: embed MODEL QUERY DOCUMENT */
#include <stdio.h>
#include <stdlib.h>

#include "incise/embed.h"

static void print_message(void *user, enum incise_log_level level, const char *text)
{
    fprintf(user, "embed: %s%s\n", level == INCISE_LOG_ERROR ? "" : "warning: ", text);
}

int main(int argc, char **argv)
{
    struct incise_engine_options options;
    struct incise_engine *engine = NULL;
    struct incise_embedder *embedder = NULL;
    if (argc != 4) return INCISE_ERROR_USAGE;
    incise_engine_options_init(&options);
    options.log = print_message;
    options.log_user = stderr;
    enum incise_status status = incise_engine_create(&options, &engine);
    if (status == INCISE_OK) status = incise_embedder_create(engine, argv[1], NULL, &embedder);
    size_t width = status == INCISE_OK ? incise_embedder_width(embedder) : 0;
    float *query = calloc(2 * width + 1, sizeof *query), *document = query + width;
    if (query == NULL) status = INCISE_ERROR_MEMORY;
    for (int i = 0; i < 2 && status == INCISE_OK; i++) { /* a call takes any number of texts with one prompt */
        const char *text = argv[2 + i];
        struct incise_text_batch batch = {.texts = &text, .n = 1, .prompt = i == 0 ? "query" : "document"};
        status = incise_embedder_run(embedder, &batch, i == 0 ? query : document, NULL);
    }
    double cosine = 0; /* vectors have length 1 */
    for (size_t k = 0; k < width && status == INCISE_OK; k++) cosine += (double)query[k] * (double)document[k];
    if (status == INCISE_OK) printf("%.4f\n", cosine);
    free(query);
    incise_embedder_destroy(embedder);
    incise_engine_destroy(engine);
    return (int)status;
}
