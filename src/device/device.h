/* SPDX-License-Identifier: Apache-2.0 */
/* What a device runs: steps over packed token rows.
 *
 * Lowering ends with a list of steps. A step reads and writes buffers; a buffer holds one row per token of the batch,
 * or, behind pooling, one per sequence. A device packs the weights of a step once (prepare) and runs steps one after
 * the other. Adding a device means filling one struct inc_device_ops.
 */
#ifndef INC_DEVICE_DEVICE_H
#define INC_DEVICE_DEVICE_H

#include "base/context.h"
#include "base/packed.h"
#include "base/threads.h"
#include "graph/graph.h"
#include "graph/weight.h"
#include "kernels/act/act.h"
#include "kernels/quant/quantize.h"

/* Looks up the `act` attribute of a fused node: "none", "relu", "gelu_erf", ... False if there is none such. */
bool inc_act_parse(const char *name, enum inc_act *act);
const char *inc_act_name(enum inc_act act);

/* What the rows of a buffer stand for. */
enum inc_domain { INC_DOMAIN_TOKENS, INC_DOMAIN_SEQUENCES, INC_DOMAINS };

/* Columns [column, ...) of a buffer's rows. */
struct inc_operand {
    uint32_t buffer;
    uint32_t column; /* in elements */
};

#define INC_NO_BUFFER   UINT32_MAX
#define INC_STEP_INPUTS 4

/* Rows of bytes with a scale each: a grid of its own per row, or one that a FakeQuantize of the file gives. */
struct inc_quantize_step {
    bool fixed;
    struct inc_quantize_grid grid; /* if fixed */
};

/* What a fused linear multiplies with: the unit of quantization, accuracy control and search. Replaceable between
 * runs. */
struct inc_slot {
    const char *name;               /* the MatMul's layer name */
    struct inc_weight weight;       /* views into the graph's constants, or into what replaced them */
    bool integer;                   /* multiply integers: the input buffer holds quantized rows */
    struct inc_quantize_step input; /* how they are quantized, if `integer` */
};

/* What stands for 0 in the rows that the slot wants. */
static inline int32_t inc_slot_zero(const struct inc_slot *slot)
{
    return !slot->integer ? 0 : slot->input.fixed ? slot->input.grid.zero : INC_QUANTIZE_ZERO;
}

/* y[t, :] = act(x[t, :] W^T + bias) + residual[t, :]. inputs: x, residual (optional) */
struct inc_linear_step {
    uint32_t slot;
    int32_t zero;      /* of quantized rows */
    const float *bias; /* out, or NULL */
    enum inc_act act;
    /* In plans whose slots take anything: x as floats, and a quantized copy for this step alone; in[0] is the one that
     * the slot wants. Else INC_NO_BUFFER. */
    struct inc_operand floats, copy;
};

/* inputs: q [heads * head_dim], k, v [kv_heads * head_dim], bias value (optional, see inc_batch.bias) */
struct inc_attention_step {
    uint32_t heads, kv_heads, head_dim;
    float scale;
    bool causal;
    uint32_t window; /* 0: none; else |pos_i - pos_j| < window */
    uint32_t bias;   /* index into inc_batch.biases, or INC_NO_BUFFER */
    bool integer;    /* products of 8-bit integers, if the device has them at a gain (kernels/attention) */
};

/* LayerNorm and RMSNorm; RMSNorm over `groups` equal parts of the row (q/k-norm: one per head) with a shared gamma.
 * inputs: x; RMSNorm: residual (optional), added to the result */
struct inc_norm_step {
    const float *gamma, *beta; /* width / groups, or NULL */
    float eps;
    uint32_t groups;
};

/* y = x * cos + rotate_half(x) * sin per head. inputs: x, cos, sin (rows of head_dim) */
struct inc_rope_step {
    uint32_t heads, head_dim;
};

/* y[t, :] = table[ids[t], :]. inputs: ids (int32 rows of width 1) */
struct inc_gather_step {
    struct inc_weight table;
    const char *source; /* layer name, for messages */
};

/* Token rows -> a row per sequence. Sums run over the rows of a sequence in order. inputs: x, weights (optional: one
 * float per token, 1 where there are none) or picks (int32 per sequence: a row, -1: none) */
enum inc_pool_mode {
    INC_POOL_MEAN,      /* sum(weight * x) / max(sum(weight), least) */
    INC_POOL_MEAN_SQRT, /* sum(weight * x) / sqrt(max(sum(weight), least)) */
    INC_POOL_MAX,       /* max(least, x of the tokens whose weight is not 0) */
    INC_POOL_TOKEN      /* x of the picked row; zeros if there is none */
};
struct inc_pool_step {
    enum inc_pool_mode mode;
    double least;
};
/* The mode's name in the attribute `mode` of a Pool node. */
const char *inc_pool_mode_name(enum inc_pool_mode mode);
bool inc_pool_mode_parse(const char *name, enum inc_pool_mode *mode);

/* y = x / sqrt(max(sum of x^2, least) + added) */
struct inc_l2_step {
    double least, added;
};

/* What is left of the file's ops between the fused ones: element-wise on rows. inputs: x, y (optional) */
struct inc_rowwise_step {
    enum inc_op op;        /* a unary, binary or FakeQuantize op of the file */
    enum inc_act act;      /* unary ops that are activations */
    const float *constant; /* second operand: 1 or width floats, or NULL when inputs[1] is used */
    size_t n_constant;
    bool swapped;     /* constant (or y) is the first operand: c - x, c / x */
    double low, high; /* Clamp */
    int64_t levels;   /* FakeQuantize: constant = in_low, in_high, out_low, out_high, n_constant each */
};

struct inc_step {
    /* LINEAR, ATTENTION, LAYER_NORM, RMS_NORM, ROPE, GATED_ACT, EMBEDDING_GATHER, POOL, NORMALIZE_L2, QUANTIZE_ROWS,
     * ROWWISE */
    enum inc_op op;
    const char *name;
    const struct inc_node *node; /* of the fused graph */
    struct inc_operand in[INC_STEP_INPUTS];
    uint32_t n_in;
    struct inc_operand out;
    uint32_t width;         /* of the output row, in elements */
    enum inc_domain domain; /* of the output, and of the inputs of all but POOL */
    uint32_t stage;         /* number of its stage (see run), rising */
    union {
        struct inc_linear_step linear;
        struct inc_attention_step attention;
        struct inc_norm_step norm;
        struct inc_rope_step rope;
        enum inc_act gated; /* y = act(in[0]) * in[1] */
        struct inc_gather_step gather;
        struct inc_pool_step pool;
        struct inc_l2_step l2;
        struct inc_rowwise_step rowwise;
        struct inc_quantize_step quantize;
    } u;
};

/* An additive attention bias that no attribute describes: element (i, j) of sequence b, head h at
 * data[b * sequence_stride + h * head_stride + i * row_stride + j], i and j counted in padded positions. */
struct inc_bias {
    const float *data;
    size_t sequence_stride, head_stride, row_stride;
};

/* The tokens of one run, packed: sequence s owns rows [start[s], start[s + 1]). */
struct inc_batch {
    size_t n_tokens, n_sequences;
    const uint32_t *start;   /* n_sequences + 1 */
    const int32_t *position; /* n_tokens: the token's index in its padded row */
    const struct inc_bias *biases;
    size_t n_buffers;
    void *const *buffers;    /* base of each buffer: as many rows as its domain has */
    const size_t *row_bytes; /* bytes from one row to the next */
    const bool *passing;     /* of each buffer: whether it is made and used up within the call of run; NULL: none */
    double *seconds;         /* of each step that run is given, added up: busy time / workers; NULL: not measured */
};

static inline size_t inc_batch_rows(const struct inc_batch *batch, enum inc_domain domain)
{
    return domain == INC_DOMAIN_TOKENS ? batch->n_tokens : batch->n_sequences;
}

struct inc_prepared; /* a device's packed form of one step */
struct inc_device;

/* What `describe` tells of a prepared step. */
struct inc_step_info {
    const char *kernel; /* static text */
    size_t bytes;       /* packed */
    double density;     /* share of the multiplications that are done, 0..1 */
    enum incise_limit limit;
};

struct inc_device_ops {
    const char *name;
    /* Whether the device has this step (kinds and sizes); the model runs op by op if not. */
    bool (*supports)(const struct inc_device *device, const struct inc_step *step, const struct inc_slot *slot);
    /* Row bytes of a quantized copy of rows with `width` floats. */
    size_t (*quantized_row_bytes)(const struct inc_device *device, size_t width);
    /* Packs what the step needs. `slot` is the step's slot (LINEAR), else NULL. */
    enum incise_status (*prepare)(struct inc_device *device, const struct inc_step *step, const struct inc_slot *slot,
                                  struct inc_prepared **prepared);
    /* Appends the prepared form of a Linear to `out`, and makes it again of that, which must then stay where it is, for
     * a slot with the same weights. *prepared is left NULL when it does not fit: it is of another kernel, say. `packed`
     * may hold anything: INCISE_ERROR_DATA, not reported, for what fits but is damaged. */
    void (*save)(const struct inc_device *device, const struct inc_prepared *prepared, struct inc_packed_out *out);
    enum incise_status (*restore)(struct inc_device *device, const struct inc_slot *slot,
                                  const struct inc_packed *packed, struct inc_prepared **prepared);
    void (*release)(struct inc_device *device, struct inc_prepared *prepared);
    void (*describe)(const struct inc_device *device, const struct inc_step *step, const struct inc_prepared *prepared,
                     struct inc_step_info *info);
    /* Bytes of scratch per run that any of the steps, of a plan with `n_buffers`, needs for batches of up to
     * `n_tokens`. */
    size_t (*scratch_bytes)(const struct inc_device *device, const struct inc_step *steps, size_t n_steps,
                            size_t n_buffers, size_t n_tokens);
    /* Runs `n` consecutive steps of one stage: an Attention or Pool alone, or steps that make row r from rows r, among
     * them at most one group of Linears that stand together, read the same rows and do not read each other's. So a
     * device may run a slab of rows through all of them before the next. The caller keeps `scratch` (64-byte aligned)
     * and the buffers alive; none of a stage's buffers overlap. INCISE_ERROR_DATA for ids outside a table. */
    enum incise_status (*run)(struct inc_device *device, const struct inc_step *steps,
                              struct inc_prepared *const *prepared, size_t n, const struct inc_batch *batch,
                              void *scratch);
    /* The kernel chosen for the `index`-th family; false beyond the last. */
    bool (*kernel)(const struct inc_device *device, size_t index, const char **family, const char **name,
                   enum incise_isa *isa);
    void (*destroy)(struct inc_device *device);
};

struct inc_device {
    const struct inc_device_ops *ops;
    const struct inc_ctx *ctx;
};

/* The CPU with the kernels of `isa`. The pool stays the caller's. */
enum incise_status inc_cpu_device_create(const struct inc_ctx *ctx, struct inc_pool *pool, enum incise_isa isa,
                                         struct inc_device **device) __attribute__((warn_unused_result));
/* Plans and packs nothing, runs nothing: for tests of lowering and planning. */
enum incise_status inc_null_device_create(const struct inc_ctx *ctx, struct inc_device **device)
    __attribute__((warn_unused_result));

#endif
