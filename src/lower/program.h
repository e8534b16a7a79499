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
    struct inc_prepared **prepared; /* per step */
    bool fused;                     /* false: the plan is empty, the graph runs op by op; lowering.reason says why */
};

struct inc_program_options {
    enum inc_integer_mode mode;
    bool reference;         /* do not lower at all */
    const char *dump_after; /* a pass's name or NULL */
    struct inc_buffer *dump;
};

/* Compiles a copy of `graph`; constants stay shared with it. The device must outlive the program. */
enum incise_status inc_program_create(struct inc_graph *graph, struct inc_device *device,
                                      const struct inc_program_options *options, struct inc_program **program)
    __attribute__((warn_unused_result));
void inc_program_destroy(struct inc_program *program); /* NULL is fine */

/* Puts other weights of the same [out, in] into a slot and packs them; no run may be under way. `slot->weight` must
 * stay valid as long as the slot holds it. Whether rows are quantized cannot change (slot->integer must be the old
 * one). The old weights stay in place on failure. */
enum incise_status inc_program_replace_slot(struct inc_program *program, uint32_t slot, const struct inc_weight *weight)
    __attribute__((warn_unused_result));

#endif
