/* SPDX-License-Identifier: Apache-2.0 */
/* A model that is ready to run: lowered, planned, weights packed for one device. */
#ifndef INC_LOWER_PROGRAM_H
#define INC_LOWER_PROGRAM_H

#include "lower/lower.h"

struct inc_program {
    const struct inc_ctx *ctx;
    struct inc_device *device;    /* not owned */
    struct inc_lowering lowering; /* owns lowering.graph */
    struct inc_plan plan;
    struct inc_prepared **prepared; /* per step; the same one where slots hold the same weights */
    size_t n_packed;                /* of the Linears, those whose weights were packed here, not restored */
    bool fused;                     /* false: the plan is empty, the graph runs op by op; lowering.reason says why */
};

struct inc_program_options {
    enum inc_integer_mode mode;
    bool reference;         /* do not lower at all */
    bool replaceable;       /* slots take other kinds of contents later; costs memory, and a copy of rows per Linear */
    const char *dump_after; /* a pass's name or NULL */
    struct inc_buffer *dump;
    /* Packed weights of another program of the same graph, per slot, or NULL: those that fit the device are taken, and
     * must stay where they are as long as the program. The graph's weights have passed inc_weight_check then. */
    const struct inc_packed_slot *packed;
    size_t n_packed;
};

/* Compiles a copy of `graph`; constants stay shared with it. The device must outlive the program. */
enum incise_status inc_program_create(struct inc_graph *graph, struct inc_device *device,
                                      const struct inc_program_options *options, struct inc_program **program)
    __attribute__((warn_unused_result));
void inc_program_destroy(struct inc_program *program); /* NULL is fine */

/* Packed weights of a slot for another program (`out` may be NULL: none), and the hash of its name. The values stay the
 * program's. */
uint64_t inc_program_save(const struct inc_program *program, uint32_t slot, struct inc_packed_out *out);
/* The first slot with the same packed weights as `slot`, which may be itself. */
uint32_t inc_program_first_same(const struct inc_program *program, uint32_t slot);

/* Puts other contents (all but the name) of the same [out, in] into a slot and packs them; no run may be under way.
 * `slot->weight` must stay valid as long as the slot holds it. How rows are quantized can change in a program that was
 * made replaceable only; not where the file itself quantizes them. The old contents stay in place on failure. */
enum incise_status inc_program_replace_slot(struct inc_program *program, uint32_t index, const struct inc_slot *slot)
    __attribute__((warn_unused_result));
/* The same for the table of step `index`, an EmbeddingGather. */
enum incise_status inc_program_replace_table(struct inc_program *program, size_t index, const struct inc_weight *table)
    __attribute__((warn_unused_result));
/* `bias`, one number per output or NULL, must stay valid as long as the program. */
void inc_program_replace_bias(struct inc_program *program, uint32_t slot, const float *bias);

#endif
