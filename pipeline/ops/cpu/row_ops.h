/* The CPU operations that are written once, without vectors: what they cost is moving memory, or
 * one call of the C library per element. Host addresses, the calling thread, no waiting. */
#ifndef SS_PIPELINE_OPS_CPU_ROW_OPS_H
#define SS_PIPELINE_OPS_CPU_ROW_OPS_H

#include <stdint.h>

#include "engine/base/status.h"
#include "pipeline/ops/cpu/kernels.h"
#include "swap/image.h"

/* to[count] = elements [INDEX, INDEX + COUNT) of weights at FROM, as fp32. */
void ss_cpu_widen(float *to, const void *from, uint64_t index, uint32_t count, enum ss_dtype dtype);

/* A weight as it lies in the pool, at a host address. */
struct ss_cpu_table {
    const void *data;
    enum ss_dtype dtype;
    uint32_t rows, columns;
};

void ss_cpu_embed(float *out, const int32_t *tokens, uint32_t rows,
                  const struct ss_cpu_table *table, uint32_t first_token);

/* SS_INTERNAL where a position lies past the table. */
SS_MUST_CHECK enum ss_status ss_cpu_add_positions(float *out, const int32_t *positions,
                                                  uint32_t rows, const struct ss_cpu_table *table,
                                                  uint32_t offset);

void ss_cpu_add(float *out, const float *in, uint32_t rows, uint32_t columns,
                const struct ss_cpu_vector *bias);

/* x = x / 2 * (1 + erf(x / sqrt 2)), the exact form (Hendrycks, Gimpel, arXiv 1606.08415). */
void ss_cpu_gelu(float *data, uint64_t count);

/* Rotary positions (Su et al., arXiv 2104.09864) in halves: dimension i turns with i + dim / 2. */
void ss_cpu_rotate(float *out, const float *in, const int32_t *positions, uint32_t rows,
                   uint32_t heads, uint32_t kv_heads, uint32_t head_dim, const float *frequencies);

/* Writes the keys and values of CALL's rows to their blocks. */
void ss_cpu_write_kv(const struct ss_cpu_attention *call);

void ss_cpu_gather_rows(float *out, const float *in, const int32_t *index, uint32_t count,
                        uint32_t columns);

#endif
