/* SPDX-License-Identifier: Apache-2.0 */
/* What compression did to embeddings: two sets of vectors of the same texts, compared. */
#ifndef INCISE_EVALUATE_H
#define INCISE_EVALUATE_H

#include <stddef.h>
#include <stdint.h>

#include "incise/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A figure and its 95 % interval: 2.5th to 97.5th percentile of 1000 bootstrap resamples of the texts or queries. Both
 * models are measured on the same resample. */
struct incise_figure {
    double value, lo, hi;
};

struct incise_fidelity {
    struct incise_figure cosine_mean; /* of each text's two vectors */
    struct incise_figure cosine_p1;   /* 1st percentile of those, interpolated linearly */
    struct incise_figure
        neighbours_top10;              /* share of a text's ten nearest others by cosine that stay, mean over texts */
    struct incise_figure rms_pairwise; /* root mean square change of the cosine between two texts */
};

/* nDCG@10 with binary relevance, mean over queries. */
struct incise_retrieval {
    struct incise_figure ndcg10_base;    /* base queries, base documents */
    struct incise_figure ndcg10;         /* other queries, other documents */
    struct incise_figure ndcg10_queries; /* other queries, base documents */
    struct incise_figure ndcg10_drop;    /* ndcg10_base - ndcg10 */
};

/* Spearman's rank correlation of the cosines of text pairs with what people said of them. */
struct incise_similarity {
    struct incise_figure spearman_base;
    struct incise_figure spearman;
    struct incise_figure spearman_drop; /* spearman_base - spearman */
};

/* All of them, by name: "cosine_mean", ..., "spearman_drop", in the order of the fields above. */
struct incise_figures {
    struct incise_fidelity fidelity;
    struct incise_retrieval retrieval;
    struct incise_similarity similarity;
};
#define INCISE_FIGURES 11
enum incise_figure_source { INCISE_FIGURE_OF_TEXTS, INCISE_FIGURE_OF_RETRIEVAL, INCISE_FIGURE_OF_SCORED_PAIRS };
/* Of figure `index` < INCISE_FIGURES; the name lives as long as the program. */
INCISE_API const char *incise_figure_name(size_t index);
INCISE_API enum incise_figure_source incise_figure_source(size_t index); /* what it is measured on */
INCISE_API struct incise_figure incise_figure_get(const struct incise_figures *figures, size_t index);
/* Index of the figure called `name`; INCISE_FIGURES if there is none. */
INCISE_API size_t incise_figure_find(const char *name);

/* Pair i is rows 2i and 2i + 1 of `base` and of `other`, `width` numbers each; scores need no unit. */
struct incise_similarity_data {
    const float *base, *other;
    const double *scores;
    size_t n, width;
};

/* Vectors of `width` numbers each, of any length; row i of a base and its other are the same text. Query pair_query[i]
 * wants document pair_document[i]; every query wants at least one, every document is searched. */
struct incise_retrieval_data {
    const float *base_queries, *queries;
    size_t n_queries;
    const float *base_documents, *documents;
    size_t n_documents;
    size_t width;
    const size_t *pair_query, *pair_document;
    size_t n_pairs;
};

/* Compares n >= 2 vectors. With fewer than eleven texts all n - 1 others are neighbours. Equal cosines rank by index.
 * INCISE_ERROR_DATA names a vector that is zero or not finite. The same seed gives the same intervals. */
INCISE_API INCISE_CHECK enum incise_status incise_fidelity_measure(struct incise_engine *engine, const float *base,
                                                                   const float *other, size_t n, size_t width,
                                                                   uint64_t seed, struct incise_fidelity *fidelity);
INCISE_API INCISE_CHECK enum incise_status incise_retrieval_measure(struct incise_engine *engine,
                                                                    const struct incise_retrieval_data *data,
                                                                    uint64_t seed, struct incise_retrieval *retrieval);
/* n >= 2 pairs whose scores are not all equal; equal cosines and scores share their mean rank. */
INCISE_API INCISE_CHECK enum incise_status incise_similarity_measure(struct incise_engine *engine,
                                                                     const struct incise_similarity_data *data,
                                                                     uint64_t seed,
                                                                     struct incise_similarity *similarity);

#ifdef __cplusplus
}
#endif
#endif
