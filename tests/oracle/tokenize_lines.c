/* SPDX-License-Identifier: Apache-2.0 */
/* tokenize_lines TOKENIZER MAX_TOKENS [offsets | plain] < TEXT: one line of ids for each line of text, with offsets as
 * id:start:end; "error" for one that fails. plain: special tokens in the text are text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "text/tokenizer.h"

static void print_log(void *user, enum incise_log_level level, const char *text)
{
    (void)user;
    (void)level;
    fprintf(stderr, "%s\n", text);
}

int main(int argc, char **argv)
{
    struct inc_ctx ctx;
    struct inc_tokenizer *tokenizer;
    struct inc_ids ids;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    inc_ctx_init(&ctx);
    ctx.log = print_log;
    if (argc != 3 && argc != 4) return 2;
    size_t max_tokens = strtoul(argv[2], NULL, 10);
    enum incise_status status = inc_tokenizer_load(&ctx, argv[1], &tokenizer);
    if (status != INCISE_OK) return (int)status;
    inc_ids_init(&ids, &ctx);
    ids.with_spans = argc == 4 && strcmp(argv[3], "offsets") == 0;
    ids.plain_specials = argc == 4 && strcmp(argv[3], "plain") == 0;
    while ((n = getline(&line, &capacity, stdin)) > 0) {
        if (line[n - 1] == '\n') n--;
        if (inc_tokenizer_encode(tokenizer, line, (size_t)n, max_tokens, &ids) != INCISE_OK) {
            puts("error");
            continue;
        }
        for (size_t i = 0; i < ids.count; i++) {
            printf("%s%d", i > 0 ? " " : "", ids.ids[i]);
            if (ids.with_spans) printf(":%zu:%zu", ids.spans[i].start, ids.spans[i].end);
        }
        putchar('\n');
    }
    free(line);
    inc_ids_release(&ids);
    inc_tokenizer_destroy(tokenizer);
    return 0;
}
