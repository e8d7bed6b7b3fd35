/* What Llama and the families of its build (Qwen2) share: RMS norm first, rotary positions,
 * grouped-query attention, a gated SiLU network. */
#ifndef SS_PIPELINE_LLAMA_H
#define SS_PIPELINE_LLAMA_H

#include "pipeline/models/model.h"

/* The keys that both read, rope included; biases and sliding windows are each family's own. */
SS_MUST_CHECK enum ss_status ss_llama_parse_shared(const void *config, const char *where,
                                                   struct ss_shape *shape);

void ss_llama_describe_embedding(const struct ss_shape *shape, struct ss_cut cut,
                                 struct ss_chunk *chunk);
void ss_llama_describe_layer(const struct ss_shape *shape, struct ss_cut cut, int layer,
                             struct ss_chunk *chunk);
void ss_llama_describe_head(const struct ss_shape *shape, struct ss_cut cut, bool tied_here,
                            struct ss_chunk *chunk);
SS_MUST_CHECK enum ss_status ss_llama_run_embedding(struct ss_graph *graph);
SS_MUST_CHECK enum ss_status ss_llama_run_layer(struct ss_graph *graph, uint32_t layer_in_stage);
SS_MUST_CHECK enum ss_status ss_llama_run_head(struct ss_graph *graph);

#endif
