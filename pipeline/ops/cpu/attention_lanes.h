/* Causal attention over paged keys and values, one query head of one row at a time, with the
 * running softmax of Milakov and Gimelshein ("Online normalizer calculation for softmax", arXiv
 * 1805.02867) in spans of SPAN positions that begin at position 0: memory does not grow with the
 * context, and the order of every sum depends on the row's position alone.
 * Included after a lanes_*.h. */
#ifndef SS_PIPELINE_OPS_CPU_ATTENTION_LANES_H
#define SS_PIPELINE_OPS_CPU_ATTENTION_LANES_H

#include <math.h>

#include "pipeline/ops/cpu/lanes_math.h"

enum {
    SPAN = 256,        /* positions at a time, a multiple of LANES */
    SUMS_TOGETHER = 4, /* registers of output that pass over the values at once */
};

/* One query head of one row. */
struct head_state {
    float query[SS_CPU_HEAD_DIM_MAX]; /* scaled */
    float sums[SS_CPU_HEAD_DIM_MAX];  /* of probability * value, not yet normalised */
    float maximum;                    /* of the scores so far */
    lanes total;                      /* of the probabilities so far, by position modulo LANES */
};

/* KEYS[i] and, VALUES_AT elements further, the values of the span's positions. */
struct span {
    const float *keys[SPAN];
    size_t values_at;
    uint32_t count;
    float scores[SPAN]; /* then probabilities */
};

static void find_span(const struct ss_cpu_attention *call, const int32_t *blocks, uint32_t kv_head,
                      uint32_t begin, uint32_t count, struct span *span)
{
    const struct ss_kv_layout *kv = &call->kv;
    span->values_at = kv->layer_bytes / 2 / sizeof(float);
    span->count = count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t position = begin + i;
        uint64_t page = (uint64_t)blocks[position / kv->block_tokens];
        const float *block = (const float *)(uintptr_t)(kv->pool + page * kv->page_bytes +
                                                        call->layer * kv->layer_bytes);
        span->keys[i] =
            block + ((size_t)(position % kv->block_tokens) * kv->kv_heads + kv_head) * kv->head_dim;
    }
}

static void score(struct span *span, const float *query, uint32_t dim)
{
    for (uint32_t i = 0; i < span->count; i += 4) {
        uint32_t last = span->count - 1;
        const float *keys[4] = {span->keys[i], span->keys[i + 1 < last ? i + 1 : last],
                                span->keys[i + 2 < last ? i + 2 : last],
                                span->keys[i + 3 < last ? i + 3 : last]};
        lanes sums[4] = {lanes_set(0), lanes_set(0), lanes_set(0), lanes_set(0)};
        for (uint32_t d = 0; d < dim; d += LANES) {
            lanes q = lanes_load(query + d);
#pragma GCC unroll 4
            for (int k = 0; k < 4; k++)
                sums[k] = lanes_fma(q, lanes_load_within(keys[k], d, dim), sums[k]);
        }
        quad four = lanes_sum_4(sums);
        memcpy(span->scores + i, &four, sizeof four);
    }
}

static void add_values(const struct span *span, float *sums, uint32_t dim)
{
    for (uint32_t d = 0; d < dim; d += SUMS_TOGETHER * LANES) {
        lanes sum[SUMS_TOGETHER];
#pragma GCC unroll 4
        for (uint32_t s = 0; s < SUMS_TOGETHER; s++)
            sum[s] = lanes_load(sums + d + s * LANES);
        for (uint32_t i = 0; i < span->count; i++) {
            const float *value = span->keys[i] + span->values_at;
            lanes p = lanes_set(span->scores[i]);
#pragma GCC unroll 4
            for (uint32_t s = 0; s < SUMS_TOGETHER; s++)
                if (d + s * LANES < dim)
                    sum[s] = lanes_fma(p, lanes_load_within(value, d + s * LANES, dim), sum[s]);
        }
#pragma GCC unroll 4
        for (uint32_t s = 0; s < SUMS_TOGETHER; s++)
            lanes_store(sums + d + s * LANES, sum[s]);
    }
}

/* Turns scores into probabilities against the largest score so far, and scales what was summed
 * against a smaller one. */
static void weigh(struct span *span, struct head_state *head, uint32_t dim)
{
    float maximum = head->maximum;
    for (uint32_t i = 0; i < span->count; i++)
        maximum = span->scores[i] > maximum ? span->scores[i] : maximum;
    if (maximum > head->maximum) {
        float before[LANES] = {head->maximum - maximum};
        lanes_store(before, lanes_exp(lanes_load(before)));
        lanes factor = lanes_set(before[0]);
        head->total = lanes_multiply(head->total, factor);
        for (uint32_t d = 0; d < dim; d += LANES)
            lanes_store(head->sums + d, lanes_multiply(lanes_load(head->sums + d), factor));
        head->maximum = maximum;
    }
    for (uint32_t i = 0; i < span->count; i += LANES) {
        lanes p = lanes_load_within(span->scores, i, span->count);
        p = lanes_exp(lanes_subtract(p, lanes_set(maximum)));
        if (i + LANES > span->count)
            p = lanes_first(p, span->count - i);
        head->total = lanes_add(head->total, p);
        lanes_store(span->scores + i, p);
    }
}

static void start_head(struct head_state *head, const float *query, float scale, uint32_t dim)
{
    const uint32_t together = SUMS_TOGETHER * LANES;
    for (uint32_t d = 0; d < (dim + together - 1) / together * together; d++) {
        head->query[d] = d < dim ? query[d] * scale : 0;
        head->sums[d] = 0;
    }
    head->maximum = -INFINITY;
    head->total = lanes_set(0);
}

static void attend(const struct ss_cpu_attention *call, const float *query, const int32_t *blocks,
                   uint32_t kv_head, uint32_t context, float *out)
{
    struct head_state head;
    struct span span;
    uint32_t dim = call->kv.head_dim;
    start_head(&head, query, call->scale, dim);
    for (uint32_t begin = 0; begin < context; begin += SPAN) {
        uint32_t count = context - begin < SPAN ? context - begin : SPAN;
        find_span(call, blocks, kv_head, begin, count, &span);
        score(&span, head.query, dim);
        weigh(&span, &head, dim);
        add_values(&span, head.sums, dim);
    }
    lanes total = lanes_set(context ? lanes_sum(head.total) : 1); /* 0: padding */
    for (uint32_t d = 0; d < dim; d += LANES)
        lanes_store_within(out, d, dim, lanes_divide(lanes_load(head.sums + d), total));
}

static void kernel_attention(const struct ss_cpu_attention *call)
{
    uint32_t dim = call->kv.head_dim, kv_heads = call->kv.kv_heads, heads = call->heads;
    size_t width = (size_t)(heads + 2 * kv_heads) * dim;
    for (size_t row = 0; row < call->rows; row++) {
        const int32_t *blocks = call->blocks + (size_t)call->sequence_of[row] * call->blocks_stride;
        uint32_t context = (uint32_t)call->positions[row] + 1;
        for (uint32_t h = 0; h < heads; h++) {
            const float *query = call->qkv + row * width + (size_t)h * dim;
            attend(call, query, blocks, h / (heads / kv_heads), context,
                   call->out + (row * heads + h) * dim);
        }
    }
}

#endif
