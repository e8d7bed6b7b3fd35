/* Moving token ids between the step, the sampled rows and the token table. No arithmetic: the paced
 * operations use them too. */
#ifndef SS_PIPELINE_OPS_CPU_TOKEN_OPS_H
#define SS_PIPELINE_OPS_CPU_TOKEN_OPS_H

#include "pipeline/ops/ops.h"

enum ss_status ss_cpu_queue_gather_tokens(struct ss_ops *ops, struct ss_stream *stream,
                                          const struct ss_step *step,
                                          const struct ss_token_table *table);
enum ss_status ss_cpu_queue_store_tokens(struct ss_ops *ops, struct ss_stream *stream,
                                         ss_device_address tokens, uint32_t count,
                                         ss_device_address sampling,
                                         const struct ss_token_table *table);

/* On the stream's thread: table[slot][position] = token. SS_INTERNAL where that is outside. */
SS_MUST_CHECK enum ss_status ss_cpu_store_token(const struct ss_token_table *table,
                                                const struct ss_sampling *sampling, int32_t token);

#endif
