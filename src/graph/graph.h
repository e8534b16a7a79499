/* SPDX-License-Identifier: Apache-2.0 */
/* The one graph: what every format reads into, every pass edits, every writer writes.
 *
 * A graph owns nodes in topological order. A node has an op (ops.def), input values, output values and typed
 * attributes. A value is one output of one node. Everything lives in the graph's arena; constant data lives in blobs
 * that clones of a graph share. All functions that allocate return NULL or a status on failure and have reported it.
 */
#ifndef INC_GRAPH_GRAPH_H
#define INC_GRAPH_GRAPH_H

#include "base/arena.h"
#include "base/context.h"
#include "graph/tensor.h"

/* ---- dimensions ------------------------------------------------------------------------------------------------ */

/* A dimension, or a known element of a small integer tensor: a constant, or a symbol with an optional expression. */
struct inc_dim {
    uint32_t symbol; /* 0: constant `value`; else index into graph->symbols */
    int64_t value;
};

struct inc_shape {
    int rank; /* 0..INC_MAX_RANK; -1 = not yet inferred (only between passes) */
    struct inc_dim dims[INC_MAX_RANK];
};

enum inc_symbol_kind { INC_SYMBOL_INPUT, INC_SYMBOL_ADD, INC_SYMBOL_MUL, INC_SYMBOL_OPAQUE };

/* A symbol is a Parameter's dynamic dimension, a sum or product of other dims (hash-consed: the same expression is the
 * same symbol), or opaque (some value that shape inference does not follow). */
struct inc_symbol {
    enum inc_symbol_kind kind;
    const char *name; /* INPUT "s1", OPAQUE "u7", for dumps; NULL for expressions */
    struct inc_dim a, b; /* operands of ADD and MUL, and of an OPAQUE symbol that has `of` */
    char of;             /* OPAQUE: '+', '*', '/' of a and b; '@' slot b of node a; 0 = nothing that can be named */
    int64_t min, max;    /* bounds of an INPUT symbol: "1..10" in IR; max -1 = unbounded. OPAQUE: min only */
};

static inline struct inc_dim inc_dim_const(int64_t value)
{
    struct inc_dim d = {0, value};
    return d;
}
static inline bool inc_dim_is_const(struct inc_dim d)
{
    return d.symbol == 0;
}
static inline bool inc_dim_equal(struct inc_dim a, struct inc_dim b)
{
    return a.symbol == b.symbol && (a.symbol != 0 || a.value == b.value);
}

/* ---- ops and attributes ---------------------------------------------------------------------------------------- */

enum inc_op {
#define OP(id, name, opset, min_in, max_in, n_out, attrs, shape, eval) INC_OP_##id,
#define FUSED(id, name, min_in, max_in, n_out, attrs, shape, eval) INC_OP_##id,
#include "graph/ops.def"
#undef OP
#undef FUSED
    INC_OP_COUNT
};

enum inc_attr_kind { INC_ATTR_INT, INC_ATTR_FLOAT, INC_ATTR_BOOL, INC_ATTR_STRING, INC_ATTR_INTS, INC_ATTR_TYPE,
                     INC_ATTR_SHAPE };

struct inc_attr {
    const char *name;
    enum inc_attr_kind kind;
    union {
        int64_t i;
        double f;
        bool b;
        const char *s;
        struct {
            const int64_t *v;
            size_t n;
        } ints;
        enum inc_type type;
        struct inc_shape shape;
    } u;
};

/* An rt_info element, kept as it was read: name, attributes in order, children in order. */
struct inc_info {
    const char *name;
    const char **keys;   /* n_attrs */
    const char **values; /* n_attrs */
    size_t n_attrs;
    struct inc_info *child; /* first child */
    struct inc_info *next;  /* next sibling */
};

/* ---- nodes and values ------------------------------------------------------------------------------------------ */

struct inc_use {
    struct inc_node *node;
    uint32_t index; /* which input of node */
};

struct inc_value {
    struct inc_node *node;
    uint32_t port; /* which output of node */
    enum inc_type type;
    struct inc_shape shape;
    const struct inc_dim *elements; /* known elements of an integer tensor (product of shape), or NULL */
    const char **names;             /* tensor names */
    uint32_t n_names;
    struct inc_use *uses; /* who reads it; maintained by inc_node_set_input and friends */
    uint32_t n_uses, uses_capacity;
    struct inc_info *info; /* the port's rt_info, or NULL */
};

struct inc_node {
    enum inc_op op;
    uint32_t id; /* unique in the graph, never reused; the file's layer id after reading */
    const char *name;
    struct inc_value **inputs;
    uint32_t n_inputs;
    struct inc_value *outputs; /* n_outputs of them, fixed at creation */
    uint32_t n_outputs;
    struct inc_attr *attrs; /* every attribute of the op's spec, in its order, defaults filled in */
    uint32_t n_attrs;
    struct inc_info *info;   /* rt_info children, or NULL */
    struct inc_tensor data;  /* Constant only: dims are its shape; data belongs to a blob */
    void *lowered;           /* scratch of the pass or device that runs; NULL in file graphs */
    struct inc_node *prev, *next;
    uint32_t mark; /* scratch of the function that runs */
};

struct inc_blob; /* shared, counted bytes behind constants */

struct inc_graph {
    const struct inc_ctx *ctx;
    struct inc_arena arena;
    const char *name;   /* <net name> */
    const char *source; /* file it was read from, for messages */
    int ir_version;     /* 10 or 11 */
    struct inc_node *first, *last; /* topological order */
    size_t n_nodes;
    uint32_t next_id;
    struct inc_node **parameters; /* model input order */
    size_t n_parameters, parameters_capacity;
    struct inc_node **results; /* model output order */
    size_t n_results, results_capacity;
    struct inc_symbol *symbols; /* [0] unused */
    size_t n_symbols, symbols_capacity;
    uint32_t *symbol_table; /* hash of symbols, in the arena; symbol.c makes it when it is NULL */
    size_t symbol_table_size;
    struct inc_info *info; /* model rt_info children */
    struct inc_blob **blobs;
    size_t n_blobs, blobs_capacity;
};

/* ---- building and editing (graph.c) ---------------------------------------------------------------------------- */

enum incise_status inc_graph_create(const struct inc_ctx *ctx, struct inc_graph **graph)
    __attribute__((warn_unused_result));
void inc_graph_destroy(struct inc_graph *graph); /* NULL is fine */
/* A deep copy that shares constant data. `lowered` is not copied. Node ids are kept. Uses the marks of `graph`. */
enum incise_status inc_graph_clone(struct inc_graph *graph, struct inc_graph **copy)
    __attribute__((warn_unused_result));
/* A copy, before `before`, of a value of another graph that is made of constants: a tree of few nodes, such as a
 * weight's chain. `graph` must hold the other one's blobs (inc_graph_share_blobs). NULL when memory is short. */
struct inc_value *inc_graph_graft(struct inc_graph *graph, const struct inc_value *value, struct inc_node *before)
    __attribute__((warn_unused_result));

/* Appends a node (before `before` if not NULL). `name` is copied; NULL makes "<Op>_<id>". Attributes get the defaults
 * of the op's spec; required ones must be set after. Parameter and Result are also added to the model's lists. Inputs
 * may be given NULL entries to be set later. Returns NULL when memory is short (reported). Output types and shapes are
 * unset until inc_shape_infer_node. */
struct inc_node *inc_graph_add(struct inc_graph *graph, enum inc_op op, const char *name,
                               struct inc_value *const *inputs, uint32_t n_inputs, struct inc_node *before)
    __attribute__((warn_unused_result));
/* The same with another number of outputs than the op table's (Split, VariadicSplit). */
struct inc_node *inc_graph_add_outputs(struct inc_graph *graph, enum inc_op op, const char *name,
                                       struct inc_value *const *inputs, uint32_t n_inputs, uint32_t n_outputs,
                                       struct inc_node *before) __attribute__((warn_unused_result));
/* A Constant over `tensor`, whose data is owned by `blob` (or is copied into a new blob if `blob` is NULL). */
struct inc_node *inc_graph_add_constant(struct inc_graph *graph, const char *name, const struct inc_tensor *tensor,
                                        struct inc_blob *blob, struct inc_node *before)
    __attribute__((warn_unused_result));
enum incise_status inc_node_set_input(struct inc_graph *graph, struct inc_node *node, uint32_t index,
                                      struct inc_value *value) __attribute__((warn_unused_result));
/* Every reader of `from` reads `to` instead. */
enum incise_status inc_value_replace(struct inc_graph *graph, struct inc_value *from, struct inc_value *to)
    __attribute__((warn_unused_result));
/* Unlinks a node none of whose outputs is used. */
void inc_graph_remove(struct inc_graph *graph, struct inc_node *node);
/* Removes every node that reaches no Result (Parameters stay). Returns how many. */
size_t inc_graph_remove_dead(struct inc_graph *graph);
/* Re-establishes topological order (stable). INCISE_ERROR_DATA on a cycle, naming a layer in it. */
enum incise_status inc_graph_sort(struct inc_graph *graph) __attribute__((warn_unused_result));

/* A blob takes ownership of `memory` (from inc_alloc; freed with inc_free) on success. The graph holds a reference. */
enum incise_status inc_graph_add_blob(struct inc_graph *graph, void *memory, size_t bytes, struct inc_blob **blob)
    __attribute__((warn_unused_result));
/* A blob takes over `file`, read or mapped, also on failure; *file goes on telling where the bytes are. */
struct inc_file;
enum incise_status inc_graph_hold_file(struct inc_graph *graph, struct inc_file *file)
    __attribute__((warn_unused_result));

/* ---- attributes (graph.c) -------------------------------------------------------------------------------------- */

const struct inc_attr *inc_node_attr(const struct inc_node *node, const char *name); /* NULL if the op has none such */
int64_t inc_attr_int(const struct inc_node *node, const char *name);
double inc_attr_float(const struct inc_node *node, const char *name);
bool inc_attr_bool(const struct inc_node *node, const char *name);
const char *inc_attr_string(const struct inc_node *node, const char *name);
enum inc_type inc_attr_type(const struct inc_node *node, const char *name);
void inc_attr_set_int(struct inc_node *node, const char *name, int64_t value);
void inc_attr_set_float(struct inc_node *node, const char *name, double value);
void inc_attr_set_bool(struct inc_node *node, const char *name, bool value);
void inc_attr_set_type(struct inc_node *node, const char *name, enum inc_type value);
enum incise_status inc_attr_set_string(struct inc_graph *graph, struct inc_node *node, const char *name,
                                       const char *value) __attribute__((warn_unused_result));

/* ---- op table (ops.c) ------------------------------------------------------------------------------------------ */

/* One attribute of an op: parsed from the spec text in ops.def once per use. */
struct inc_attr_spec {
    char name[32];
    enum inc_attr_kind kind;
    bool required;
    const char *fallback; /* default text, points into the spec; length below */
    size_t fallback_length;
};

struct inc_infer; /* shape.h */
struct inc_eval;  /* eval_ref/eval.h */
typedef enum incise_status inc_shape_fn(struct inc_infer *infer, struct inc_node *node);
typedef enum incise_status inc_eval_fn(struct inc_eval *eval, struct inc_node *node);

struct inc_op_info {
    const char *name;   /* as OpenVINO's IR writes it, e.g. "Const", "SoftMax" */
    const char *opset;  /* "opset1"; NULL for fused ops */
    uint32_t min_inputs, max_inputs; /* UINT32_MAX: any */
    uint32_t n_outputs;
    const char *attrs; /* "name:kind[=default] ..."; kinds i f b s I(ints) t(type) S(shape); no '=': required */
    inc_shape_fn *shape;
    inc_eval_fn *eval;
};

extern const struct inc_op_info inc_ops[INC_OP_COUNT];
/* Case-insensitive, as OpenVINO looks types up. False if the table lacks it. */
bool inc_op_find(const char *type, const char *opset, enum inc_op *op);
/* Iterates a spec: start with *cursor = info->attrs; false at the end. */
bool inc_attr_spec_next(const char **cursor, struct inc_attr_spec *spec);
/* Parses `text` (as IR writes it) into attr->kind and attr->u for `spec` (attr->name is left as it is); false if it is
 * malformed or memory is short. Strings and lists are copied into the arena; a dynamic dim of a shape ("?", "-1",
 * "1..10") becomes a new INPUT symbol; a dynamic rank ("...") is refused. */
bool inc_attr_parse(struct inc_graph *graph, const struct inc_attr_spec *spec, const char *text, size_t length,
                    struct inc_attr *attr);

/* ---- symbols (symbol.c) ---------------------------------------------------------------------------------------- */

/* Expressions are kept in one normal form: a sum of products, INPUT and OPAQUE symbols rising within a product,
 * products rising within a sum, constants last and folded: (s1*4)*2 and s1*8 are one symbol. What is too big for it, or
 * whose coefficients overflow, becomes opaque.
 *
 * Memory failure is reported and gives a dim that is not valid; so do, unreported, constants that overflow. What is
 * computed from it is not valid either. `graph` stores nothing when all operands are constants (and a / b exact). */
#define INC_DIM_NO_MEMORY ((struct inc_dim){UINT32_MAX, 0})
#define INC_DIM_OVERFLOW ((struct inc_dim){UINT32_MAX, 1})
static inline bool inc_dim_valid(struct inc_dim d)
{
    return d.symbol != UINT32_MAX;
}
/* A fresh symbol of kind INPUT or OPAQUE. */
struct inc_dim inc_dim_new(struct inc_graph *graph, enum inc_symbol_kind kind, int64_t min, int64_t max);
/* The opaque symbol for `slot` of node `id`: always the same one. `min`: what it is at least. */
struct inc_dim inc_dim_opaque(struct inc_graph *graph, uint32_t id, int64_t slot, int64_t min);
struct inc_dim inc_dim_add(struct inc_graph *graph, struct inc_dim a, struct inc_dim b);
struct inc_dim inc_dim_sub(struct inc_graph *graph, struct inc_dim a, struct inc_dim b);
struct inc_dim inc_dim_mul(struct inc_graph *graph, struct inc_dim a, struct inc_dim b);
/* a / b when it is exact as expressions; else an opaque symbol (the same for the same a and b). */
struct inc_dim inc_dim_div(struct inc_graph *graph, struct inc_dim a, struct inc_dim b);
/* A bound that `dim` cannot fall below; INT64_MIN if none is known. */
int64_t inc_dim_min(const struct inc_graph *graph, struct inc_dim dim);
/* Writes "128", "s1", "(s1*12)", "(s1+s2*2+1)" into text; opaque symbols are "u<n>". */
void inc_dim_format(const struct inc_graph *graph, struct inc_dim dim, char *text, size_t size);

/* ---- model rt_info (info.c) ------------------------------------------------------------------------------------ */

/* Text at "incise/activations" (elements nested by '/', value in attribute "value"); NULL if absent. */
const char *inc_info_get(const struct inc_graph *graph, const char *path);
enum incise_status inc_info_set(struct inc_graph *graph, const char *path, const char *value)
    __attribute__((warn_unused_result));
struct inc_info *inc_info_clone(struct inc_graph *graph, const struct inc_info *info);

/* ---- whole-graph functions ------------------------------------------------------------------------------------- */

/* Infers type, shape and known elements of every value, in order (shape.c). INCISE_ERROR_DATA names the layer. */
enum incise_status inc_graph_infer(struct inc_graph *graph) __attribute__((warn_unused_result));
/* Checks the invariants above plus arity, types, ranks and attribute ranges of every node (verify.c). */
enum incise_status inc_graph_verify(const struct inc_graph *graph) __attribute__((warn_unused_result));
struct inc_buffer;
/* One line per node: "%12 f32[s1,s2,384] = MatMul(%10, %11) transpose_b=true \"name\"" (dump.c); constants with
 * xxh3 of their bytes; rt_info with `with_info`. Deterministic. */
enum incise_status inc_graph_dump(const struct inc_graph *graph, bool with_info, struct inc_buffer *out)
    __attribute__((warn_unused_result));

#endif
