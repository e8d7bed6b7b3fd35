/* Candidates are a binary heap of (logit, id) packed in 64 bits, so that one draw sorts no more of
 * the vocabulary than it needs: most draws take a few candidates from the top. */
#include "pipeline/ops/cpu/sample.h"

#include <math.h>
#include <string.h>

#include "engine/base/random.h"

static const float *part_of(const struct ss_cpu_logits *logits, uint32_t part, uint32_t *first,
                            uint32_t *columns)
{
    *first = part * logits->part_columns;
    uint32_t left = logits->vocab > *first ? logits->vocab - *first : 0;
    *columns = left < logits->part_columns ? left : logits->part_columns;
    return logits->data + ((size_t)part * logits->count + logits->row) * logits->part_columns;
}

static int32_t greedy(const struct ss_cpu_logits *logits)
{
    float best = -INFINITY;
    uint32_t token = 0;
    for (uint32_t part = 0; part < logits->parts; part++) {
        uint32_t first, columns;
        const float *row = part_of(logits, part, &first, &columns);
        for (uint32_t i = 0; i < columns; i++) {
            if (row[i] > best) {
                best = row[i];
                token = first + i;
            }
        }
    }
    return (int32_t)token;
}

/* Larger logits are larger keys; of equal ones, lower ids are. */
static uint64_t key_of(float logit, uint32_t id)
{
    uint32_t bits;
    logit += 0.0f; /* both zeros are the same logit */
    memcpy(&bits, &logit, sizeof bits);
    bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return (uint64_t)bits << 32 | (UINT32_MAX - id);
}

static float logit_of(uint64_t key)
{
    uint32_t bits = (uint32_t)(key >> 32);
    float logit;
    bits = bits & 0x80000000u ? bits & 0x7fffffffu : ~bits;
    memcpy(&logit, &bits, sizeof logit);
    return logit;
}

static int32_t id_of(uint64_t key)
{
    return (int32_t)(UINT32_MAX - (uint32_t)key);
}

static uint32_t collect(const struct ss_cpu_logits *logits, uint64_t *heap)
{
    uint32_t count = 0;
    for (uint32_t part = 0; part < logits->parts; part++) {
        uint32_t first, columns;
        const float *row = part_of(logits, part, &first, &columns);
        for (uint32_t i = 0; i < columns; i++)
            if (row[i] > -INFINITY)
                heap[count++] = key_of(row[i], first + i);
    }
    return count;
}

static void sift_down(uint64_t *heap, uint32_t count, uint32_t at)
{
    uint64_t key = heap[at];
    for (;;) {
        uint64_t child = 2 * (uint64_t)at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && heap[child + 1] > heap[child])
            child++;
        if (heap[child] <= key)
            break;
        heap[at] = heap[child];
        at = (uint32_t)child;
    }
    heap[at] = key;
}

/* Takes the largest key; it stays behind the heap, so that taken keys lie descending from the end
 * of the array backwards. */
static uint64_t take(uint64_t *heap, uint32_t *count)
{
    uint64_t top = heap[0];
    uint32_t left = --*count;
    heap[0] = heap[left];
    heap[left] = top;
    if (left > 0)
        sift_down(heap, left, 0);
    return top;
}

/* What top_k and top_p leave, as a prefix of the candidates in descending order. */
struct candidates {
    uint64_t *heap;
    uint32_t total;   /* keys in all: taken ones from here downwards */
    uint32_t in_heap; /* not taken yet */
    float best;
    double temperature;
    double mass; /* of the prefix, unnormalised */
};

/* Probability over that of the best candidate. */
static double weight_of(const struct candidates *set, uint64_t key)
{
    return exp(((double)logit_of(key) - set->best) / set->temperature);
}

static void keep_top_k(struct candidates *set, uint32_t k)
{
    set->mass = 0;
    for (uint32_t i = 0; i < k; i++)
        set->mass += weight_of(set, take(set->heap, &set->in_heap));
    set->heap += set->in_heap;
    set->total = k;
    set->in_heap = 0;
}

static void keep_all(struct candidates *set)
{
    set->mass = 0;
    for (uint32_t i = 0; i < set->total; i++)
        set->mass += weight_of(set, set->heap[i]);
}

/* The smallest number of candidates, from the best on, whose mass reaches LIMIT: at least one, at
 * most MOST. *MASS is theirs. */
static uint32_t reach(struct candidates *set, double limit, uint32_t most, double *mass)
{
    double sum = 0;
    uint32_t count = 0;
    do {
        uint64_t key = count < set->total - set->in_heap ? set->heap[set->total - 1 - count]
                                                         : take(set->heap, &set->in_heap);
        sum += weight_of(set, key);
        count++;
    } while (sum < limit && count < most);
    *mass = sum;
    return count;
}

static int32_t draw(struct candidates *set, const struct ss_sampling *sampling)
{
    double mass = set->mass, reached;
    uint32_t most = set->total;
    if (sampling->top_p < 1)
        most = reach(set, (double)sampling->top_p * set->mass, most, &mass);
    double unit = ss_random_unit(sampling->seed, (uint64_t)sampling->position);
    uint32_t count = reach(set, unit * mass, most, &reached);
    return id_of(set->heap[set->total - count]);
}

int32_t ss_cpu_sample(const struct ss_cpu_logits *logits, const struct ss_sampling *sampling,
                      uint64_t *heap)
{
    if (!(sampling->temperature > 0))
        return greedy(logits);
    struct candidates set = {.heap = heap, .temperature = sampling->temperature};
    set.total = set.in_heap = collect(logits, heap);
    if (set.total == 0)
        return 0;
    for (uint32_t i = set.total / 2; i-- > 0;)
        sift_down(heap, set.total, i);
    set.best = logit_of(heap[0]);
    if (isinf(set.best))
        return id_of(heap[0]);
    if (sampling->top_k > 0 && (uint32_t)sampling->top_k < set.total)
        keep_top_k(&set, (uint32_t)sampling->top_k);
    else
        keep_all(&set);
    return draw(&set, sampling);
}
