/* SPDX-License-Identifier: Apache-2.0 */
/* The cases of tests/data/ops (scripts/make_op_fixtures.py): one op each, with inputs and OpenVINO's outputs. */
#ifndef TESTS_OP_CASES_H
#define TESTS_OP_CASES_H

#include "graph/graph.h"

enum { OP_CASE_INPUTS = 6, OP_CASE_OUTPUTS = 4, OP_CASE_ATTRS = 6 };

struct op_case {
    char name[64];
    enum inc_op op;
    struct {
        char name[32], value[64];
    } attrs[OP_CASE_ATTRS];
    size_t n_attrs;
    struct inc_tensor inputs[OP_CASE_INPUTS]; /* data points into op_cases.data */
    bool constant[OP_CASE_INPUTS];
    uint32_t n_inputs;
    struct inc_tensor outputs[OP_CASE_OUTPUTS];
    uint32_t n_outputs;
};

struct op_cases {
    struct op_case *cases;
    size_t n;
    char *data;
};

/* Fails the test when the files are damaged. */
void op_cases_load(struct op_cases *cases);
void op_cases_free(struct op_cases *cases);

/* Copies `tensor`'s data into a new Constant, or makes a Parameter of its type and shape (dims dynamic if asked). */
struct inc_value *op_case_constant(struct inc_graph *graph, const struct inc_tensor *tensor);
struct inc_value *op_case_parameter(struct inc_graph *graph, const struct inc_tensor *tensor, bool dynamic);
/* The case as a graph: values of its inputs, and its node. */
struct inc_node *op_case_build(struct inc_graph *graph, const struct op_case *op_case, bool dynamic,
                               struct inc_value *inputs[OP_CASE_INPUTS]);

#endif
