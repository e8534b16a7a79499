/* SPDX-License-Identifier: Apache-2.0 */
#include "support/expanded.h"

#include <math.h>
#include <string.h>

#include "lower/expand.h"

void test_succeed(enum incise_status status)
{
    if (status != INCISE_OK) fail_msg("%s", test_last_error());
}

void test_record(const struct inc_graph *graph, const char *model, const char *shape, struct test_recorded *recorded)
{
    memset(recorded, 0, sizeof *recorded);
    test_inputs_load(graph, model, shape, &recorded->inputs);
    recorded->mask = test_inputs_get(graph, &recorded->inputs, "attention_mask");
    test_reference(graph, &recorded->inputs, &recorded->output);
}

void test_release_recorded(struct test_recorded *recorded)
{
    test_inputs_free(&recorded->inputs);
    inc_tensor_release(test_ctx(), &recorded->output);
}

size_t test_count_fused(const struct inc_graph *graph)
{
    size_t n = 0;
    for (const struct inc_node *node = graph->first; node != NULL; node = node->next)
        n += inc_ops[node->op].opset == NULL;
    return n;
}

double test_expanded_difference(const struct inc_lowering *lowering, const struct test_recorded *recorded, size_t n)
{
    struct inc_lowering copy = *lowering;
    double difference = 0;
    test_succeed(inc_graph_clone(lowering->graph, &copy.graph));
    for (size_t i = 0; i < lowering->graph->n_parameters; i++)
        if (lowering->graph->parameters[i] == lowering->mask) copy.mask = copy.graph->parameters[i];
    test_succeed(inc_expand(&copy));
    test_succeed(inc_graph_verify(copy.graph));
    assert_int_equal(test_count_fused(copy.graph), 0);
    for (size_t s = 0; s < n; s++) {
        struct inc_tensor output = {0};
        test_reference(copy.graph, &recorded[s].inputs, &output);
        difference = fmax(difference, test_difference(&output, &recorded[s].output, recorded[s].mask));
        inc_tensor_release(test_ctx(), &output);
    }
    inc_graph_destroy(copy.graph);
    return difference;
}
