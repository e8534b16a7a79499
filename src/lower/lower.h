/* SPDX-License-Identifier: Apache-2.0 */
/* From a file graph to steps on packed rows.
 *
 * The passes (passes.c) rewrite a clone of the file graph: groups of file ops become fused ops with the same logical
 * shapes. The plan (plan.c) then lays the values out as packed rows, drops what only moves data about, and lists steps
 * and buffers. Where that fails, the model runs op by op with the reference evaluator, and `reason` says why.
 */
#ifndef INC_LOWER_LOWER_H
#define INC_LOWER_LOWER_H

#include "device/device.h"
#include "graph/graph.h"

struct inc_lowering {
    const struct inc_ctx *ctx;
    struct inc_graph *graph; /* the clone that is rewritten */
    struct inc_dim batch,
        sequence;          /* the symbols of the model's [batch, length] inputs; constants 0 if there are none */
    struct inc_node *mask; /* the Parameter whose zeros are padding, once a mask proved it; else NULL */
    bool weights_checked;  /* the file's weights are known to be finite */
    char reason[256];      /* why the model cannot run fused; "" if it can */
};

/* Notes why lowering stops; keeps the first reason. Returns INCISE_OK: running op by op is no failure. */
enum incise_status inc_lower_refuse(struct inc_lowering *lowering, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

typedef enum incise_status inc_pass_fn(struct inc_lowering *lowering);

struct inc_pass {
    const char *name;
    inc_pass_fn *run;
};
extern const struct inc_pass inc_passes[];
extern const size_t inc_n_passes;

/* Runs the passes in order, stopping when one refuses. `dump_after` (a pass's name, or NULL) writes that pass's graph
 * into `dump`. In debug builds the graph is verified after each pass. */
enum incise_status inc_lower_run(struct inc_lowering *lowering, const char *dump_after, struct inc_buffer *dump)
    __attribute__((warn_unused_result));

/* ---- the plan -------------------------------------------------------------------------------------------------- */

/* How a buffer's rows come to be. */
enum inc_buffer_kind {
    INC_BUFFER_ROWS,       /* float rows made by a step */
    INC_BUFFER_QUANTIZED,  /* uint8 rows with a scale each, made by QUANTIZE_ROWS */
    INC_BUFFER_IDS,        /* int32, one per token, packed from an index value at entry */
    INC_BUFFER_INDEX_ROWS, /* float rows packed from an index value at entry (cos, sin) */
    INC_BUFFER_PICKS,      /* int32, one per sequence: the row of the token at an index value's position, -1: padding */
    INC_BUFFER_KINDS
};

struct inc_plan_buffer {
    enum inc_buffer_kind kind;
    enum inc_domain domain;
    uint32_t width;   /* elements per row */
    size_t row_bytes; /* 64-byte multiple */
    size_t offset;    /* bytes per row before it in its domain's arena; buffers whose lifetimes touch never overlap */
    uint32_t first_step, last_step; /* first writer, last reader (index buffers live from step 0) */
    const struct inc_value *value;  /* index value that IDS, INDEX_ROWS or PICKS come from, else NULL */
    int batch_axis, sequence_axis;  /* of that value; -1: not there (size 1) */
    bool passing;                   /* all its writers and readers are of one stage */
    bool by_shape;                  /* that value depends on the inputs' shape only, not on what they hold */
};

/* A mask value that stays an additive bias. */
struct inc_plan_bias {
    const struct inc_value *value;
    bool by_shape; /* as of inc_plan_buffer */
};

/* A model output: rows of a buffer, those of tokens unpacked to the value's shape. */
struct inc_plan_output {
    uint32_t buffer, column, width;
};

struct inc_plan {
    struct inc_step *steps;
    size_t n_steps, steps_capacity;
    struct inc_slot *slots;
    size_t n_slots, slots_capacity;
    struct inc_plan_buffer *buffers;
    size_t n_buffers, buffers_capacity;
    struct inc_plan_output *outputs; /* one per Result */
    size_t n_outputs;
    struct inc_plan_bias *biases; /* by inc_attention_step.bias */
    size_t n_biases, biases_capacity;
    uint32_t *cuts; /* steps before which exactly one body buffer lives: segments lie between neighbours */
    uint32_t *cut_buffers;
    size_t n_cuts;
    size_t domain_bytes[INC_DOMAINS]; /* arena bytes per row */
};

/* Which linears multiply integers. */
enum inc_integer_mode {
    INC_INTEGER_NONE,
    INC_INTEGER_ALL,
    INC_INTEGER_AND_ATTENTION, /* all, and attention multiplies integers too */
    INC_INTEGER_AS_WRITTEN     /* what rt_info incise/ says */
};

/* Lays out the lowered graph. Refuses (lowering->reason) where rows cannot express it. The plan points into the graph.
 * `replaceable`: each Linear gets rows as floats and as bytes of its own, so that its slot may hold anything. */
enum incise_status inc_plan_create(struct inc_lowering *lowering, const struct inc_device *device,
                                   enum inc_integer_mode mode, bool replaceable, struct inc_plan *plan)
    __attribute__((warn_unused_result));
void inc_plan_release(const struct inc_ctx *ctx, struct inc_plan *plan);
/* The one Linear that multiplies with a slot; NULL if there is none. */
struct inc_step *inc_plan_linear_of(const struct inc_plan *plan, uint32_t slot);

#endif
