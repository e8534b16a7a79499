/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks that encoders are made of. A family's description calls them in order; after a failure (reported, kept in
 * `status`) they return NULL and do nothing, so that it is checked once, at the end.
 *
 * `path` is the module's path in the checkpoint, e.g. "encoder.layer.0.output.dense"; node names are derived from it as
 * OpenVINO's export of the PyTorch model does. Shapes: B = batch, S = sequence. */
#ifndef INC_FORMATS_HUGGINGFACE_BLOCKS_H
#define INC_FORMATS_HUGGINGFACE_BLOCKS_H

#include "base/json.h"
#include "formats/huggingface/weights.h"

struct inc_hf_builder {
    const struct inc_ctx *ctx;
    const char *prefix; /* of all tensor names, e.g. "bert."; "" for none */
    struct inc_hf_weights *weights;
    struct inc_graph *graph;
    enum incise_status status;
};

/* A family: makes the graph from config.json and the weights. `ignored`: tensors that need not be used, with or without
 * the prefix, where a last '*' stands for any rest; then NULL. */
struct inc_hf_family {
    const char *model_type;
    const char *const *prefixes; /* that tensor names may have, "" among them; ends with NULL */
    const char *probe;           /* a tensor that tells which */
    const char *const *ignored;
    enum incise_status (*build)(struct inc_hf_builder *b, const struct inc_json *config);
};

extern const struct inc_hf_family inc_hf_bert, inc_hf_distilbert, inc_hf_gemma3, inc_hf_modernbert, inc_hf_mpnet,
    inc_hf_qwen3, inc_hf_roberta, inc_hf_xlm_roberta;

/* ---- single nodes ---- */

/* Parameter [?,?] of i64 called `name`. */
struct inc_value *inc_hf_input(struct inc_hf_builder *b, const char *name);
/* Result; its value gets the tensor name `name`. */
void inc_hf_output(struct inc_hf_builder *b, struct inc_value *value, const char *name);
/* The tensor prefix + `name` of exactly these dims, as f32 constant "self.<name>" of shape `shaped` (same elements). */
struct inc_value *inc_hf_weight(struct inc_hf_builder *b, const char *name, int rank, const int64_t *dims,
                                int shaped_rank, const int64_t *shaped);
/* A constant list of `n` integers (type i64 or i32), a scalar for n = -1. */
struct inc_value *inc_hf_integers(struct inc_hf_builder *b, enum inc_type type, int n, const int64_t *values);
/* A constant f32 of `rank` axes of size 1. */
struct inc_value *inc_hf_number(struct inc_hf_builder *b, int rank, float value);
struct inc_value *inc_hf_convert(struct inc_hf_builder *b, const char *name, struct inc_value *x, enum inc_type type);
/* 0..S-1 [S] for `shape` [B,S] */
struct inc_value *inc_hf_range(struct inc_hf_builder *b, const char *name, struct inc_value *shape);
struct inc_value *inc_hf_op(struct inc_hf_builder *b, enum inc_op op, const char *name, uint32_t n_inputs,
                            struct inc_value *const *inputs);
struct inc_value *inc_hf_add(struct inc_hf_builder *b, const char *name, struct inc_value *x, struct inc_value *y);
/* printf into the graph's arena; NULL after a failure. */
const char *inc_hf_name(struct inc_hf_builder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- blocks ---- */

/* x [B,S,in] -> [B,S,out] */
struct inc_value *inc_hf_linear_bare(struct inc_hf_builder *b, const char *path, struct inc_value *x, int64_t in,
                                     int64_t out);
/* the same with a bias */
struct inc_value *inc_hf_linear(struct inc_hf_builder *b, const char *path, struct inc_value *x, int64_t in,
                                int64_t out);
struct inc_value *inc_hf_layer_norm_bare(struct inc_hf_builder *b, const char *path, struct inc_value *x, int64_t dim,
                                         double eps);
/* the same with a bias */
struct inc_value *inc_hf_layer_norm(struct inc_hf_builder *b, const char *path, struct inc_value *x, int64_t dim,
                                    double eps);
/* channels [begin, end) of x, whose last axis of `rank` they are */
struct inc_value *inc_hf_channels(struct inc_hf_builder *b, const char *name, struct inc_value *x, int rank,
                                  int64_t begin, int64_t end);
/* row 0 of the table "<path>.weight" as [1,1,dim] */
struct inc_value *inc_hf_first_row(struct inc_hf_builder *b, const char *path, int64_t rows, int64_t dim);
/* x / rms(x) * (offset + weight) over the last axis, of size `dim`, of x of rank `rank` */
struct inc_value *inc_hf_rms_norm(struct inc_hf_builder *b, const char *path, struct inc_value *x, int rank,
                                  int64_t dim, double eps, double offset);
/* x * scale */
struct inc_value *inc_hf_scale(struct inc_hf_builder *b, const char *name, struct inc_value *x, int rank, double scale);
/* ids [B,S] -> [B,S,dim] */
struct inc_value *inc_hf_embedding(struct inc_hf_builder *b, const char *path, struct inc_value *ids, int64_t rows,
                                   int64_t dim);
/* `shape` [B,S] -> 0..S-1 as [1,S], S <= max */
struct inc_value *inc_hf_positions(struct inc_hf_builder *b, const char *path, struct inc_value *shape, int64_t max);
/* ids [B,S] -> pad + 1, pad + 2, ... over the ids that are not `pad`, which get `pad` */
struct inc_value *inc_hf_positions_from_ids(struct inc_hf_builder *b, const char *path, struct inc_value *ids,
                                            int64_t pad);
/* "<path>.weight" [INC_HF_RELATIVE_BUCKETS, heads] -> [1,heads,S,S], by MPNet's buckets of distance */
#define INC_HF_RELATIVE_BUCKETS 32
struct inc_value *inc_hf_relative_bias(struct inc_hf_builder *b, const char *path, struct inc_value *shape,
                                       int64_t heads);
/* mask [B,S] of 1 and 0, and its shape -> additive f32 mask [B,1,S,S], 0 or the lowest float */
struct inc_value *inc_hf_padding_mask(struct inc_hf_builder *b, struct inc_value *shape, struct inc_value *mask);
/* `padding` as inc_hf_padding_mask makes it, with what lies `window` or more positions apart (0: any distance), or
 * ahead if `causal`, hidden too */
struct inc_value *inc_hf_band_mask(struct inc_hf_builder *b, struct inc_value *shape, struct inc_value *padding,
                                   bool causal, int64_t window);
/* x [B,S,heads*head_dim] -> [B,heads,S,head_dim]; `index` counts the projections of a layer: 0 q, 1 k, 2 v */
struct inc_value *inc_hf_split_heads(struct inc_hf_builder *b, const char *path, int index, struct inc_value *x,
                                     int64_t heads, int64_t head_dim);
/* x [B,kv_heads,S,head_dim] -> [B,heads,S,head_dim], each repeated for heads / kv_heads neighbours */
struct inc_value *inc_hf_repeat_heads(struct inc_hf_builder *b, const char *path, int index, struct inc_value *x,
                                      int64_t kv_heads, int64_t heads, int64_t head_dim);
/* qkv [B,heads,S,head_dim] -> [B,S,heads*head_dim]; scale 0: 1/sqrt(head_dim) */
struct inc_value *inc_hf_sdpa(struct inc_hf_builder *b, const char *path, struct inc_value *const qkv[3],
                              struct inc_value *mask, int64_t heads, int64_t head_dim, double scale);
/* q, k, v [B,S,heads*head_dim] -> [B,S,heads*head_dim] */
struct inc_value *inc_hf_attention(struct inc_hf_builder *b, const char *path, struct inc_value *const qkv[3],
                                   struct inc_value *mask, int64_t heads, int64_t head_dim);

/* Rotary position embedding of head_dim channels for positions 0..S-1, [1,1,S,head_dim] each. */
struct inc_hf_rope {
    struct inc_value *cos, *sin;
    int64_t head_dim;
};

struct inc_hf_rope inc_hf_rope_tables(struct inc_hf_builder *b, const char *path, struct inc_value *shape,
                                      int64_t head_dim, double theta);
/* x [B,heads,S,head_dim]; `index` as for inc_hf_split_heads */
struct inc_value *inc_hf_rotate(struct inc_hf_builder *b, const char *path, int index, struct inc_value *x,
                                const struct inc_hf_rope *rope);

#endif
