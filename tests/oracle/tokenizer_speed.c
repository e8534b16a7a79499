/* SPDX-License-Identifier: Apache-2.0 */
/* Speed of a tokenizer on the lines of a text, on one thread.
 * usage: tokenizer_speed TOKENIZER TEXT [CACHE_DIR]
 * Prints the time to load, the best of 5 rounds over all lines, and the time for 1 and 2 MB of one thing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "text/tokenizer.h"

static void print_log(void *user, enum incise_log_level level, const char *text)
{
    (void)user, (void)level;
    fprintf(stderr, "%s\n", text);
}

static double encode_lines(const struct inc_tokenizer *tokenizer, const struct inc_file *file, struct inc_ids *ids,
                           size_t *tokens)
{
    double start = inc_seconds();
    const char *at = (const char *)file->data, *end = at + file->size;
    *tokens = 0;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline != NULL ? newline : end;
        if (inc_tokenizer_encode(tokenizer, at, (size_t)(stop - at), 0, ids) != INCISE_OK) exit(1);
        *tokens += ids->count;
        at = stop + (newline != NULL);
    }
    return inc_seconds() - start;
}

/* Best of 3 for `bytes` of `unit` over and over. */
static double encode_run(const struct inc_tokenizer *tokenizer, const char *unit, size_t bytes, struct inc_ids *ids)
{
    size_t n = strlen(unit), length = bytes / n * n;
    char *text = malloc(length);
    double best = 1e9;
    if (text == NULL) exit(1);
    for (size_t i = 0; i < length; i += n) memcpy(text + i, unit, n);
    for (int round = 0; round < 3; round++) {
        double start = inc_seconds();
        if (inc_tokenizer_encode(tokenizer, text, length, 0, ids) != INCISE_OK) exit(1);
        double taken = inc_seconds() - start;
        best = taken < best ? taken : best;
    }
    free(text);
    return best;
}

int main(int argc, char **argv)
{
    static const char *const units[] = {"a", "ab", " ", "-", "\xe4\xb8\xad", "\xe2\x96\x81", "<", "\xcc\x81", "aA1 "};
    struct inc_ctx ctx;
    struct inc_tokenizer *tokenizer;
    struct inc_file file;
    struct inc_ids ids;
    double best = 1e9;
    size_t tokens;
    inc_ctx_init(&ctx);
    ctx.log = print_log;
    if (argc != 3 && argc != 4) return 2;
    if (argc == 4) ctx.cache_dir = argv[3];
    double start = inc_seconds();
    if (inc_tokenizer_load(&ctx, argv[1], &tokenizer) != INCISE_OK) return 1;
    double loaded = inc_seconds() - start;
    if (inc_file_read(&ctx, argv[2], (size_t)1 << 30, &file) != INCISE_OK) return 1;
    inc_ids_init(&ids, &ctx);
    for (int round = 0; round < 5; round++) {
        double taken = encode_lines(tokenizer, &file, &ids, &tokens);
        best = taken < best ? taken : best;
    }
    printf("load %.1f ms, %.1f MB/s, %zu tokens\n", 1e3 * loaded, (double)file.size / best / 1e6, tokens);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        double one = 1e9, two = 1e9;
        for (int round = 0; round < 5; round++) { /* in turns: the machine's speed changes while they are taken */
            one = fmin(one, encode_run(tokenizer, units[i], (size_t)1 << 20, &ids));
            two = fmin(two, encode_run(tokenizer, units[i], (size_t)2 << 20, &ids));
        }
        printf("  1 MB of '%s': %.3f s, 2 MB: %.2f times that\n", units[i], one, two / one);
    }
    inc_ids_release(&ids);
    inc_file_release(&ctx, &file);
    inc_tokenizer_destroy(tokenizer);
    return 0;
}
