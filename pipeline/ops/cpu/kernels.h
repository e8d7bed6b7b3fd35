/* The CPU operations that are worth vectorising, once per instruction set.
 *
 * All sets give the same bits. A sum of LENGTH products or elements always runs the same way:
 * sixteen fp32 lanes, lane i taking elements i, i + 16, ... in order by fused multiply-add, the
 * last lanes padded with zeros, then one fixed tree over the lanes (lanes_portable.h). The order
 * depends on LENGTH alone: not on the other rows, nor on how a matrix is cut into blocks.
 *
 * Kernels compute at once, on the calling thread; addresses are host addresses. */
#ifndef SS_PIPELINE_OPS_CPU_KERNELS_H
#define SS_PIPELINE_OPS_CPU_KERNELS_H

#include <stdint.h>

#include "engine/base/status.h"
#include "pipeline/ops/ops.h"
#include "swap/image.h"

/* A vector of weights; data is null where there is none. */
struct ss_cpu_vector {
    const void *data;
    enum ss_dtype dtype;
};

struct ss_cpu_linear {
    float *out;      /* [rows][n] */
    const float *in; /* [rows][k] */
    uint32_t rows, k, n;
    const void *weight; /* [n][k] */
    enum ss_dtype dtype;
    struct ss_cpu_vector bias; /* [n] */
    enum ss_activation activation;
};

struct ss_cpu_norm {
    float *out;
    const float *in;
    uint32_t rows, columns;
    struct ss_cpu_vector weight, bias;
    float epsilon;
};

#define SS_CPU_HEAD_DIM_MAX 512

/* kv.head_dim is at most SS_CPU_HEAD_DIM_MAX. */
struct ss_cpu_attention {
    float *out;       /* [rows][heads * head_dim] */
    const float *qkv; /* [rows][(heads + 2 * kv_heads) * head_dim] */
    uint32_t rows, heads;
    const int32_t *positions, *sequence_of, *blocks;
    uint32_t blocks_stride;
    struct ss_kv_layout kv;
    uint32_t layer;
    float scale;
};

/* What linear works in: one per thread that may run it at a time. */
struct ss_cpu_scratch;
SS_MUST_CHECK enum ss_status ss_cpu_scratch_create(struct ss_cpu_scratch **out);
void ss_cpu_scratch_destroy(struct ss_cpu_scratch *scratch);

struct ss_cpu_kernels {
    const char *name; /* "avx512", "avx2", "portable" */
    void (*linear)(const struct ss_cpu_linear *call, struct ss_cpu_scratch *scratch);
    void (*layer_norm)(const struct ss_cpu_norm *call);
    void (*rms_norm)(const struct ss_cpu_norm *call);
    /* out[rows][columns] = silu(in[row][c]) * in[row][columns + c] */
    void (*silu_multiply)(float *out, const float *in, uint32_t rows, uint32_t columns);
    /* Of rows whose keys and values are in their blocks. */
    void (*attention)(const struct ss_cpu_attention *call);
    /* out[i] = e^(in[i]), for tests of the one function that the kernels share. */
    void (*exp)(float *out, const float *in, uint32_t count);
};

/* The sets that were built and that this machine runs, fastest first; null past the last. */
const struct ss_cpu_kernels *ss_cpu_kernels_at(int index);

#endif
