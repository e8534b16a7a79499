/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <string.h>

#include "incise/evaluate.h"

#define FIGURE(part, source, name)                                                                                     \
    {                                                                                                                  \
        #name, source, offsetof(struct incise_figures, part.name)                                                      \
    }
static const struct {
    const char *name;
    enum incise_figure_source source;
    size_t offset;
} table[] = {
    FIGURE(fidelity, INCISE_FIGURE_OF_TEXTS, cosine_mean),
    FIGURE(fidelity, INCISE_FIGURE_OF_TEXTS, cosine_p1),
    FIGURE(fidelity, INCISE_FIGURE_OF_TEXTS, neighbours_top10),
    FIGURE(fidelity, INCISE_FIGURE_OF_TEXTS, rms_pairwise),
    FIGURE(retrieval, INCISE_FIGURE_OF_RETRIEVAL, ndcg10_base),
    FIGURE(retrieval, INCISE_FIGURE_OF_RETRIEVAL, ndcg10),
    FIGURE(retrieval, INCISE_FIGURE_OF_RETRIEVAL, ndcg10_queries),
    FIGURE(retrieval, INCISE_FIGURE_OF_RETRIEVAL, ndcg10_drop),
    FIGURE(similarity, INCISE_FIGURE_OF_SCORED_PAIRS, spearman_base),
    FIGURE(similarity, INCISE_FIGURE_OF_SCORED_PAIRS, spearman),
    FIGURE(similarity, INCISE_FIGURE_OF_SCORED_PAIRS, spearman_drop),
};
_Static_assert(sizeof table / sizeof *table == INCISE_FIGURES, "every figure has a name");

const char *incise_figure_name(size_t index)
{
    return table[index].name;
}

enum incise_figure_source incise_figure_source(size_t index)
{
    return table[index].source;
}

size_t incise_figure_find(const char *name)
{
    size_t i = 0;
    while (i < INCISE_FIGURES && strcmp(table[i].name, name) != 0) i++;
    return i;
}

struct incise_figure incise_figure_get(const struct incise_figures *figures, size_t index)
{
    struct incise_figure figure;
    memcpy(&figure, (const char *)figures + table[index].offset, sizeof figure);
    return figure;
}
