/* Tensor operations, behind one table per backend.
 *
 * Every call queues work on a stream and returns; all addresses are device memory. Activations,
 * the KV cache and logits have the backend's own type (fp32 on the CPU, 16-bit on CUDA);
 * unfinished products, that a gate, a sum or a rotation is still to be applied to, have its type of
 * sums, so that bf16 rounds once where it would twice; weights have the checkpoint's. Matrices are
 * row-major. A batch is ragged: the new tokens of all its sequences lie one after another, "rows"
 * counts them, and struct ss_step says which row belongs to whom.
 *
 * Promise (token-exact swapping): the bits of a result never depend on addresses, residency or
 * timing. A backend with `batch_invariant` set promises more: a row's bits depend on that row's own
 * sequence only, not on what else is in the batch or how a prompt was sliced. */
#ifndef SS_PIPELINE_OPS_H
#define SS_PIPELINE_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "swap/device/device.h"
#include "swap/image.h"

enum ss_activation { SS_ACTIVATION_NONE, SS_ACTIVATION_RELU, SS_ACTIVATION_GELU };

/* A weight as it lies in the pool. */
struct ss_weight {
    ss_device_address address;
    enum ss_dtype dtype;
    uint32_t rows, columns;
};

enum ss_norm_kind { SS_NORM_NONE, SS_NORM_LAYER, SS_NORM_RMS };

/* A norm of rows as wide as what it stands before; its weights as in layer_norm() and rms_norm().
 */
struct ss_norm {
    enum ss_norm_kind kind;
    const struct ss_weight *weight, *bias;
    float epsilon;
};

/* A product with what comes before and after it in a model:
 *   out (+)= act(norm(in) * weight^T + bias)
 * Gated, the weight's first half of rows is the gate, and out = silu(gate) * rest, half as wide. */
struct ss_dense {
    ss_device_address out, in; /* do not overlap */
    uint32_t rows;
    const struct ss_weight *weight, *bias; /* BIAS may be null */
    struct ss_norm norm;
    enum ss_activation activation; /* none where gated */
    bool gated;
    bool adds;       /* to what OUT holds */
    bool unfinished; /* as linear() has it; neither gated nor adds then */
    /* Work memory, of [rows][the weight's columns] for a norm, [rows][its rows] for gated or adds,
     * the latter in the type of sums. */
    ss_device_address normed, product;
};

/* The shape of one step, as arrays in device memory that were copied there on the same stream. */
struct ss_step {
    uint32_t rows; /* new tokens in all */
    uint32_t sequences;
    ss_device_address tokens;      /* int32[rows], the first stage only */
    ss_device_address positions;   /* int32[rows] */
    ss_device_address sequence_of; /* int32[rows]: index of the row's sequence */
    ss_device_address row_begin;   /* int32[sequences + 1]: first row of each sequence */
    ss_device_address slots;       /* int32[sequences] */
    ss_device_address blocks;      /* int32[sequences][blocks_stride]: pool page of each KV block */
    uint32_t blocks_stride;
    uint32_t rows_max_per_sequence; /* longest slice, for choosing kernels */
    uint32_t context_max;           /* longest context after this step */
};

/* Where keys and values lie. A block holds block_tokens positions of every layer of a stage:
 *   block address = pool + page * page_bytes
 *   layer l:  + l * layer_bytes;  keys first, values at + layer_bytes / 2
 *   each as [block_tokens][kv_heads][head_dim] in the backend's type. */
struct ss_kv_layout {
    ss_device_address pool;
    uint64_t page_bytes;
    uint64_t layer_bytes;
    uint32_t block_tokens;
    uint32_t kv_heads; /* of this rank */
    uint32_t head_dim;
};

/* Sampling of one row of logits. */
struct ss_sampling {
    float temperature; /* 0: greedy */
    float top_p;       /* 1: off */
    int32_t top_k;     /* 0: off */
    int32_t slot;      /* the sequence's slot */
    uint64_t seed;
    int32_t position; /* of the token being sampled: the random number's index */
    int32_t reserved;
};

/* Token ids of every sequence in work: int32[slots][tokens_max], position p of slot s at
 * s * tokens_max + p. The first stage reads its input here; samplers write here. */
struct ss_token_table {
    ss_device_address tokens;
    uint32_t slots, tokens_max;
};

struct ss_ops;

/* Up to so many rows a library may have a kernel for each number of them (cuBLASLt has, for fp32:
 * gemmSN_TN_kernel). */
#define SS_EACH_ROWS_MAX 64u

struct ss_ops_table {
    const char *name; /* "cpu", "paced", "cuda" */
    bool batch_invariant;
    enum ss_dtype activation_dtype;
    enum ss_dtype sum_dtype; /* of unfinished products */
    /* Kernels are loaded at their first use, which must not find an unmet wait on the stream: all
     * shapes are to be run once, at start, with every row count up to SS_EACH_ROWS_MAX, then with
     * twice as many each time, and with the most. */
    bool loads_late;
    /* Rows may be added to a step that belong to nobody, so that few shapes serve all steps of one
     * token a sequence: their position is -1, their slot and that of their sampling is -1. Nothing
     * is written for them to the KV cache or the token table; their activations, logits and tokens
     * mean nothing. */
    bool takes_padding;
    void (*destroy)(struct ss_ops *ops);

    /* tokens[row] = table[slot of row][position of row]. */
    enum ss_status (*gather_tokens)(struct ss_ops *ops, struct ss_stream *stream,
                                    const struct ss_step *step, const struct ss_token_table *table);

    /* out[rows][columns] = table[token - first_token], zero where the token lies outside the
     * table's rows (another rank holds it). */
    enum ss_status (*embed)(struct ss_ops *ops, struct ss_stream *stream,
                            const struct ss_step *step, const struct ss_weight *table,
                            uint32_t first_token, ss_device_address out);

    /* out[row] += table[position + offset], a learned position embedding. */
    enum ss_status (*add_positions)(struct ss_ops *ops, struct ss_stream *stream,
                                    const struct ss_step *step, const struct ss_weight *table,
                                    uint32_t offset, ss_device_address out);

    /* out[rows][n] = act(in[rows][k] * weight[n][k]^T + bias[n]). BIAS may be null. In and out
     * do not overlap. UNFINISHED: OUT is for another operation to finish, and has the type of sums.
     */
    enum ss_status (*linear)(struct ss_ops *ops, struct ss_stream *stream, ss_device_address out,
                             ss_device_address in, uint32_t rows, const struct ss_weight *weight,
                             const struct ss_weight *bias, enum ss_activation activation,
                             bool unfinished);

    /* One struct ss_dense, which is not kept. As a whole, or as the operations that it consists of:
     * then intermediate values are rounded to activations. */
    enum ss_status (*dense)(struct ss_ops *ops, struct ss_stream *stream,
                            const struct ss_dense *dense);

    /* out = LayerNorm(in) * weight + bias. WEIGHT and BIAS may be null (no affine part). In place
     * is fine. */
    enum ss_status (*layer_norm)(struct ss_ops *ops, struct ss_stream *stream,
                                 ss_device_address out, ss_device_address in, uint32_t rows,
                                 uint32_t columns, const struct ss_weight *weight,
                                 const struct ss_weight *bias, float epsilon);

    /* out = in / sqrt(mean(in^2) + epsilon) * weight. In place is fine. */
    enum ss_status (*rms_norm)(struct ss_ops *ops, struct ss_stream *stream, ss_device_address out,
                               ss_device_address in, uint32_t rows, uint32_t columns,
                               const struct ss_weight *weight, float epsilon);

    /* out[rows][columns] += in[rows][columns] (+ bias[columns], may be null). IN is unfinished. */
    enum ss_status (*add)(struct ss_ops *ops, struct ss_stream *stream, ss_device_address out,
                          ss_device_address in, uint32_t rows, uint32_t columns,
                          const struct ss_weight *bias);

    /* out[rows][columns] = silu(in[row][c]) * in[row][columns + c]; in has 2 * columns columns and
     * is unfinished. */
    enum ss_status (*silu_multiply)(struct ss_ops *ops, struct ss_stream *stream,
                                    ss_device_address out, ss_device_address in, uint32_t rows,
                                    uint32_t columns);

    /* out = in[rows][(heads + 2 * kv_heads) * head_dim], which is unfinished, its query and key
     * heads rotated in halves (not interleaved): FREQUENCIES is fp32[head_dim / 2], the angle per
     * position. In and out do not overlap. */
    enum ss_status (*rotate)(struct ss_ops *ops, struct ss_stream *stream,
                             const struct ss_step *step, ss_device_address out,
                             ss_device_address in, uint32_t heads, uint32_t kv_heads,
                             uint32_t head_dim, ss_device_address frequencies);

    /* Writes the step's keys and values of layer LAYER (counted within the stage) to their blocks,
     * then out[rows][heads * head_dim] = causal attention of each row over its sequence's whole
     * context. Queries are multiplied by SCALE. Query head h reads kv head h / (heads/kv_heads). */
    enum ss_status (*attention)(struct ss_ops *ops, struct ss_stream *stream,
                                const struct ss_step *step, const struct ss_kv_layout *kv,
                                uint32_t layer, ss_device_address qkv, uint32_t heads, float scale,
                                ss_device_address out);

    /* out[i] = in[index[i]] for COUNT rows: picks the rows that are to be sampled. INDEX is
     * int32[count]. */
    enum ss_status (*gather_rows)(struct ss_ops *ops, struct ss_stream *stream,
                                  ss_device_address out, ss_device_address in,
                                  ss_device_address index, uint32_t count, uint32_t columns);

    /* Samples COUNT rows of logits that lie as [parts][count][part_columns] (the vocabulary cut
     * over tensor-parallel ranks; ids at or past VOCAB are padding): tokens[i], and the token table
     * at the sampling's slot and position where TABLE is not null. SAMPLING is struct
     * ss_sampling[count] in device memory. Greedy takes the lowest id of the largest logit. Else:
     * temperature, then top_k, then top_p (the smallest set whose probability reaches top_p), then
     * one draw with ss_random_unit(seed, position), in order of descending probability, ties by
     * id. */
    enum ss_status (*sample)(struct ss_ops *ops, struct ss_stream *stream, ss_device_address logits,
                             uint32_t count, uint32_t parts, uint32_t part_columns, uint32_t vocab,
                             ss_device_address sampling, ss_device_address tokens,
                             const struct ss_token_table *table);

    /* table[slot of sampling i][position of sampling i] = tokens[i]: tokens that came over the
     * last-to-first edge. */
    enum ss_status (*store_tokens)(struct ss_ops *ops, struct ss_stream *stream,
                                   ss_device_address tokens, uint32_t count,
                                   ss_device_address sampling, const struct ss_token_table *table);
};

struct ss_ops {
    const struct ss_ops_table *table;
    struct ss_device *device;
};

/* A DENSE operation as the table's other operations, for backends that have none of their own. */
SS_MUST_CHECK enum ss_status ss_dense_compose(struct ss_ops *ops, struct ss_stream *stream,
                                              const struct ss_dense *dense);

/* Roofline of a machine, for paced operations: an operation takes
 * max(bytes / memory rate, operations / compute rate) + overhead. */
struct ss_ops_profile {
    double memory_bytes_per_s;
    double flops_per_s;
    double overhead_s; /* per operation that computes (linear, attention) */
};

struct ss_ops_options {
    const char *kind;              /* "real" or "paced" */
    struct ss_ops_profile profile; /* paced only */
    bool invariant;                /* CUDA: batch_invariant, for a price; others always are */
};

/* The operations that fit DEVICE; they borrow it. registry.c alone knows which were built. */
SS_MUST_CHECK enum ss_status
ss_ops_create(struct ss_device *device, const struct ss_ops_options *options, struct ss_ops **out);

#endif
