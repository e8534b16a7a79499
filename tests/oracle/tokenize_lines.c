/* SPDX-License-Identifier: Apache-2.0 */
/* tokenize_lines TOKENIZER MAX_TOKENS < TEXT: one line of ids for each line of text; "error" for one that fails. */
#include <stdio.h>
#include <stdlib.h>
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
    if (argc != 3) return 2;
    size_t max_tokens = strtoul(argv[2], NULL, 10);
    enum incise_status status = inc_tokenizer_load(&ctx, argv[1], &tokenizer);
    if (status != INCISE_OK) return (int)status;
    inc_ids_init(&ids, &ctx);
    while ((n = getline(&line, &capacity, stdin)) > 0) {
        if (line[n - 1] == '\n') n--;
        if (inc_tokenizer_encode(tokenizer, line, (size_t)n, max_tokens, &ids) != INCISE_OK) {
            puts("error");
            continue;
        }
        for (size_t i = 0; i < ids.count; i++) printf("%s%d", i > 0 ? " " : "", ids.ids[i]);
        putchar('\n');
    }
    free(line);
    inc_ids_release(&ids);
    inc_tokenizer_destroy(tokenizer);
    return 0;
}
