/* SPDX-License-Identifier: Apache-2.0 */
/* embed_alone MODEL PROMPT < LINES > VECTORS: each line embedded in a call of its own, raw float32. PROMPT -: none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "incise/embed.h"

static enum incise_status embed_lines(struct incise_embedder *embedder, const char *prompt)
{
    size_t width = incise_embedder_width(embedder), capacity = 0;
    float *vector = malloc(width * sizeof *vector);
    char *line = NULL;
    ssize_t n;
    enum incise_status status = vector != NULL ? INCISE_OK : INCISE_ERROR_MEMORY;
    while (status == INCISE_OK && (n = getline(&line, &capacity, stdin)) > 0) {
        const char *const texts[] = {line};
        const size_t lengths[] = {(size_t)n - (line[n - 1] == '\n')};
        const struct incise_text_batch batch = {.texts = texts, .lengths = lengths, .n = 1, .prompt = prompt};
        status = incise_embedder_run(embedder, &batch, vector, NULL);
        if (status == INCISE_OK && fwrite(vector, sizeof *vector, width, stdout) != width) status = INCISE_ERROR_IO;
    }
    free(line);
    free(vector);
    return status;
}

int main(int argc, char **argv)
{
    struct incise_engine *engine = NULL;
    struct incise_embedder *embedder = NULL;
    if (argc != 3) return 2;
    enum incise_status status = incise_engine_create(NULL, &engine);
    if (status == INCISE_OK) status = incise_embedder_create(engine, argv[1], NULL, &embedder);
    if (status == INCISE_OK) status = embed_lines(embedder, strcmp(argv[2], "-") == 0 ? NULL : argv[2]);
    if (status != INCISE_OK) fprintf(stderr, "embed_alone: status %d\n", (int)status);
    incise_embedder_destroy(embedder);
    incise_engine_destroy(engine);
    return (int)status;
}
