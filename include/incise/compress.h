/* SPDX-License-Identifier: Apache-2.0 */
/* Editing models: convert to IR, prune, quantize. Each reads a model, edits it, and writes a folder that any OpenVINO
 * reader loads: openvino_model.xml and .bin, with tokenizer and configuration copied from beside the source. The folder
 * appears complete or not at all. */
#ifndef INCISE_COMPRESS_H
#define INCISE_COMPRESS_H

#include <stddef.h>
#include <stdint.h>

#include "incise/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Called on the caller's thread after each of `total` weights; `name` lives for the call only. */
typedef void incise_progress_fn(void *user, size_t done, size_t total, const char *name);

/* Texts that the model is run on, to see its activations: a few hundred passages of the kind it will meet, not those
 * that it will be judged by. They are cut at the model's length. */
struct incise_calibration {
    const char *const *texts; /* UTF-8 */
    const size_t *lengths;    /* bytes of each */
    size_t n;                 /* 0: no calibration */
    size_t max_tokens;        /* texts are taken in order until they hold so many; 0: 32768 */
    const char *prompt;       /* name of the prompt before each text; NULL: the model's for documents and for queries,
                               * in turn, where it has them */
    const char *tokenizer;    /* as for embedding; NULL: beside the model */
    size_t shard, shards;     /* for statistics: of those texts only every shards-th, from `shard` on; 0 shards: all */
};

struct incise_text_list {
    const char *const *texts; /* UTF-8 */
    const size_t *lengths;    /* bytes of each */
    size_t n;
};

/* What accuracy control measures on, each part optional: neither what is calibrated on nor what the model will be
 * judged by. Figures of vectors are those of `texts`, or else of the documents. With neither texts nor pairs those
 * decide that calibration holds out of its texts, as documents unless `prompt` says otherwise. Query pair_query[i]
 * wants document pair_document[i]; all documents are searched. */
struct incise_validation {
    struct incise_text_list texts;
    const char *prompt; /* before `texts`, as for embedding */
    struct incise_text_list queries, documents;
    const size_t *pair_query, *pair_document;
    size_t n_pairs;
};

/* A bound that the end of a figure's 95 % interval must keep (see incise/evaluate.h): the lower end at least `limit`,
 * or with at_most the upper end at most. Figures have the names of the fields of incise_fidelity and
 * incise_retrieval. */
struct incise_requirement {
    const char *figure;
    int at_most;
    double limit;
};

/* A step of accuracy control. Texts live for the call only. */
struct incise_decision {
    const char *layer;     /* the first of those that change together; NULL: all layers */
    const char *from, *to; /* "f32", "int8 static", "int8 dynamic", "int8 float" (rows), "int4 float", ... */
    int checked;           /* the requirements were measured after it; the rest is then about the one nearest to its
                            * limit, or the first that does not hold */
    const char *figure;
    double value, bound, limit; /* bound: the end of the interval that must keep the limit */
    int met;                    /* all of them */
    size_t texts;               /* that were looked at; a mean cosine that is hopeless on a few needs no others */
};
typedef void incise_decision_fn(void *user, const struct incise_decision *decision);

/* Texts are read during the call only. Initialize with the init function, change what you need. */
struct incise_prune_options {
    size_t struct_size;
    const char *pattern;  /* "element", or "block:RxC": R outputs x C inputs of W[out, in], edge blocks cut short */
    const char *method;   /* "magnitude", "random", "wanda" or "obs"; NULL: obs with calibration, else magnitude */
    const char *refit;    /* what stays is fitted to: "none", "dense" (what the model as it was made of the texts) or
                           * "residual" (that and what the residual stream has lost before); NULL: residual with
                           * calibration, else none */
    const char *norm;     /* score of a block for "magnitude": "l1" (default) or "l2" */
    double sparsity;      /* share of each weight's blocks, 0 <= sparsity < 1 */
    const char *allocate; /* "uniform" (default): that share of each weight; "global": of all of them together, where it
                           * costs least by the method's own losses (needs calibration); "channels": first whole
                           * channels of feed-forward layers, up to three quarters of them, which leave the graph, then
                           * blocks as "global" does; else a file of lines layer<TAB>share for layers that lose another
                           * share */
    const char *traces;   /* file of the whole removal orders of wanda or obs in the model as it is, from which blocks
                           * are then chosen, whatever the sparsity: read if it exists and was made from the same
                           * model, texts, layers, pattern and method (INCISE_ERROR_DATA if not), else written. NULL:
                           * blocks are chosen in the model as it has become so far */
    const char *statistics; /* file of incise_statistics of the same model and texts, from which removal orders of the
                             * model as it is are worked out (traces, "global"); NULL: the model is run for them */
    const char *select;   /* POSIX extended regex, searched in the layer's or its weight's name; NULL: every MatMul */
    const char *ignore;   /* layers that match are left alone; NULL: none */
    struct incise_calibration calibration; /* wanda, obs and refit need it */
    uint64_t seed;                         /* of "random" */
    int force;                             /* 1: replace an existing output folder */
    incise_progress_fn *progress;          /* may be NULL */
    void *progress_user;
};

struct incise_quantize_options {
    size_t struct_size;
    /* "int8" (default), "int7" or "int4": symmetric, in -127..127, -63..63 and -8..7. One scale per output row; int4:
     * per `group` inputs of a row. */
    const char *weights;
    const char *tables; /* the same for embedding tables, whose rows are entries; "int8" (default) */
    long group;         /* of int4: inputs per scale, must divide their number; 0: a whole row; -1 (default): 32 */
    /* "nearest": scales that hold every weight; "search": of least squared error, that of the layer's product with
     * calibration; "gptq": with calibration, and errors are made up for by weights rounded later. NULL: gptq with
     * calibration, else nearest. */
    const char *round;
    /* "dynamic" (default): rows are quantized as they come; "static": in ranges found with calibration, written as
     * FakeQuantize; "float". */
    const char *activations;
    /* Smoothing before anything is quantized, with calibration: channels of what layers read are divided by
     * max|x|^smooth / max|w|^(1 - smooth), rounded to a power of two, and the weights multiplied, where something
     * before takes up the division: a norm, values, the other side of a gated product. The FP32 model stays the same
     * to the bit. 0 (default): none; at most 1. */
    double smooth;
    const char *statistics; /* file of incise_statistics of the same model and texts, from which smoothing takes how
                             * large channels get, to the same result; NULL: the model is run for that */
    const char *range; /* of static activations: "minmax", all values seen, or "mse" (default): least squared error */
    const char *select;      /* as for prune; NULL: every MatMul and embedding table */
    const char *ignore;
    struct incise_calibration calibration;
    /* Accuracy control: layers get back precision (int4 to int8 to floats, static to dynamic to floats) until the
     * requirements hold on the validation texts, and as few as that takes. None: everything as said above. */
    const struct incise_requirement *requirements;
    size_t n_requirements;
    struct incise_validation validation;
    incise_decision_fn *decision; /* may be NULL */
    void *decision_user;
    int force;
    incise_progress_fn *progress;
    void *progress_user;
};

struct incise_statistics_options {
    size_t struct_size;
    struct incise_calibration calibration;
    int force; /* 1: replace whatever file is there */
    incise_progress_fn *progress;
    void *progress_user;
};

struct incise_convert_options {
    size_t struct_size;
    const char *task;   /* "features": the vectors of all tokens; "embedding": also those of texts (modules.json) */
    int keep_quantized; /* 1: Q8_0 and Q4_0 matrices of a GGUF file stay integers of the same values (i8, i4) */
    int force;
};

/* One weight that was edited. `name` (the layer's) and `weight` (its constant's) belong to the list. */
struct incise_change {
    const char *name;
    const char *weight;
    int64_t rows, columns;       /* of W[out, in] */
    int64_t blocks, zero_blocks; /* prune: all blocks, and those that are all zero now; else 0 */
    double zeros;                /* share of elements that are zero now, 0..1 */
    double error;                /* |W_new - W_old| / |W_old|, Frobenius; 0 for a weight that was all zero */
};

struct incise_changes;

INCISE_API void incise_prune_options_init(struct incise_prune_options *options);
INCISE_API void incise_quantize_options_init(struct incise_quantize_options *options);
INCISE_API void incise_statistics_options_init(struct incise_statistics_options *options);
INCISE_API void incise_convert_options_init(struct incise_convert_options *options);

/* Zeroes blocks of the weights of `model` (.xml or folder) and writes folder `out`. "magnitude": in each weight, the
 * blocks whose norm is below the (100 * sparsity)-th percentile of its block norms, interpolated linearly; the others:
 * round(sparsity * blocks) of them; docs/compression.md says which. Zero means the value after decompression. On
 * success *changes (if `changes` is not NULL) is the caller's. INCISE_ERROR_USAGE for options that cannot work and for
 * a selection that is empty. */
INCISE_API INCISE_CHECK enum incise_status incise_prune(struct incise_engine *engine, const char *model,
                                                        const char *out, const struct incise_prune_options *options,
                                                        struct incise_changes **changes);

/* Stores weights as integers. Weights that are integers already stay; INCISE_ERROR_USAGE if nothing is left to do.
 * INCISE_ERROR_REQUIREMENT if a requirement does not hold even with all layers as they were; nothing is written then.
 * With requirements *changes tells of what was asked for, the decisions of what became of it. */
INCISE_API INCISE_CHECK enum incise_status incise_quantize(struct incise_engine *engine, const char *model,
                                                           const char *out,
                                                           const struct incise_quantize_options *options,
                                                           struct incise_changes **changes);

/* Writes to file `path` what the Linears of `model`, as it is, read on the texts: sums of x and x x^T, each channel's
 * smallest and largest value, and how large tokens get. What is there at `path` of the same model and texts is taken
 * up: a run that was interrupted goes on where it last wrote, about every half a minute. Anything else is
 * INCISE_ERROR_DATA. */
INCISE_API INCISE_CHECK enum incise_status incise_statistics(struct incise_engine *engine, const char *model,
                                                             const char *path,
                                                             const struct incise_statistics_options *options);
/* Joins the files of all shards, in any order, into that of all texts: the same but for rounding. INCISE_ERROR_DATA
 * names the file that is no part, not complete, or of other texts, and a shard that is missing or there twice. */
INCISE_API INCISE_CHECK enum incise_status incise_statistics_join(struct incise_engine *engine,
                                                                  const char *const *parts, size_t n,
                                                                  const char *path, int force);
/* Whether the file at `path` begins as one of statistics does. */
INCISE_API int incise_is_statistics(const char *path);

/* Hugging Face folder or GGUF file to IR folder; `options` may be NULL. INCISE_ERROR_USAGE for keep_quantized if there
 * is nothing to keep. */
INCISE_API INCISE_CHECK enum incise_status incise_convert(struct incise_engine *engine, const char *source,
                                                          const char *out,
                                                          const struct incise_convert_options *options);

INCISE_API size_t incise_changes_count(const struct incise_changes *changes);
INCISE_API void incise_changes_get(const struct incise_changes *changes, size_t index, struct incise_change *change);
/* NULL is fine. Before the engine's end. */
INCISE_API void incise_changes_destroy(struct incise_changes *changes);

#ifdef __cplusplus
}
#endif
#endif
