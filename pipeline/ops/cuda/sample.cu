/* Sampling: one block a row of logits.
 *
 * A candidate is a 64-bit key, its logit above its id, so that descending keys are descending
 * logits, ties by ascending id, and no two are equal. What top_k, top_p and the draw leave is a set
 * of the form "keys of at least T": each T is found bit by bit from the top, by counting or
 * weighing the row once a bit. The sums' order is fixed. */
#include "pipeline/ops/cuda/elements.cuh"

#define THREADS 1024
#define WARPS   (THREADS / 32)

typedef unsigned long long key_t64;

template <typename T> struct row_of_logits {
    const T *data;
    unsigned row, count, parts, part_columns, vocab;

    /* 0: no candidate. Larger logits are larger keys; of equal ones, lower ids are. */
    __device__ key_t64 key(unsigned id) const
    {
        float logit = widen(data[((size_t)(id / part_columns) * count + row) * part_columns +
                                 id % part_columns]) +
                      0.0f;
        if (!(logit > -INFINITY))
            return 0;
        unsigned bits = __float_as_uint(logit);
        bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
        return (key_t64)bits << 32 | (0xffffffffu - id);
    }
};

static __device__ float logit_of(key_t64 key)
{
    unsigned bits = (unsigned)(key >> 32);
    return __uint_as_float(bits & 0x80000000u ? bits & 0x7fffffffu : ~bits);
}

static __device__ int id_of(key_t64 key)
{
    return (int)(0xffffffffu - (unsigned)key);
}

/* What ss_random_unit() of engine/base/random.h gives, which host code alone can call. */
static __device__ double random_unit(key_t64 seed, key_t64 index)
{
    key_t64 z = seed + 0x9e3779b97f4a7c15ull * (index + 1);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
}

/* Count and probability, over that of the best, of a set of candidates. */
struct mass {
    double weight;
    unsigned count;
};

static __device__ struct mass block_mass(struct mass value, struct mass *shared)
{
    for (int step = 16; step; step /= 2) {
        value.weight += __shfl_xor_sync(0xffffffffu, value.weight, step);
        value.count += __shfl_xor_sync(0xffffffffu, value.count, step);
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        shared[threadIdx.x / 32] = value;
    __syncthreads();
    struct mass total = {0, 0};
    for (int warp = 0; warp < WARPS; warp++) {
        total.weight += shared[warp].weight;
        total.count += shared[warp].count;
    }
    return total;
}

template <typename T> struct search {
    struct row_of_logits<T> logits;
    float best;
    double temperature;
    struct mass *shared;

    /* Of the candidates with keys of at least FLOOR. */
    __device__ struct mass above(key_t64 floor) const
    {
        struct mass mine = {0, 0};
        for (unsigned id = threadIdx.x; id < logits.vocab; id += THREADS) {
            key_t64 key = logits.key(id);
            if (key && key >= floor) {
                mine.weight += exp(((double)logit_of(key) - (double)best) / temperature);
                mine.count++;
            }
        }
        return block_mass(mine, shared);
    }

    /* The largest T of at least FLOOR for which the candidates of at least T are COUNT or more, or
     * weigh LIMIT or more: the last of the smallest such set. */
    __device__ key_t64 reach(key_t64 floor, unsigned count, double limit) const
    {
        key_t64 found = 0;
        for (int bit = 63; bit >= 0; bit--) {
            key_t64 next = found | 1ull << bit;
            struct mass mass = above(next);
            if (mass.count > 0 && (mass.count >= count || mass.weight >= limit))
                found = next;
        }
        return found > floor ? found : floor;
    }
};

static __device__ key_t64 block_best(key_t64 key, key_t64 *shared)
{
    for (int step = 16; step; step /= 2) {
        key_t64 other = __shfl_xor_sync(0xffffffffu, key, step);
        key = other > key ? other : key;
    }
    if (threadIdx.x % 32 == 0)
        shared[threadIdx.x / 32] = key;
    __syncthreads();
    for (int warp = 0; warp < WARPS; warp++)
        key = shared[warp] > key ? shared[warp] : key;
    return key;
}

template <typename T>
static __device__ int draw(const struct search<T> &search, const struct ss_sampling &sampling)
{
    key_t64 floor = 1;
    struct mass mass = search.above(floor);
    if (sampling.top_k > 0 && (unsigned)sampling.top_k < mass.count) {
        floor = search.reach(floor, (unsigned)sampling.top_k, INFINITY);
        mass = search.above(floor);
    }
    if (sampling.top_p < 1) {
        floor = search.reach(floor, 0xffffffffu, (double)sampling.top_p * mass.weight);
        mass = search.above(floor);
    }
    double unit = random_unit(sampling.seed, (key_t64)sampling.position);
    return id_of(search.reach(floor, 0xffffffffu, unit * mass.weight));
}

template <typename T>
static __global__ void sample(struct row_of_logits<T> logits, const struct ss_sampling *samplings,
                              int *tokens, struct ss_token_table table)
{
    __shared__ key_t64 keys[WARPS];
    __shared__ struct mass masses[WARPS];
    const struct ss_sampling sampling = samplings[blockIdx.x];
    key_t64 best = 0;
    logits.row = blockIdx.x;
    for (unsigned id = threadIdx.x; id < logits.vocab; id += THREADS) {
        key_t64 key = logits.key(id);
        best = key > best ? key : best;
    }
    best = block_best(best, keys);
    int token = best ? id_of(best) : 0;
    if (sampling.temperature > 0 && best && !isinf(logit_of(best))) {
        struct search<T> search = {
            logits, logit_of(best), (double)sampling.temperature, masses
        };
        token = draw(search, sampling);
    }
    if (threadIdx.x > 0)
        return;
    tokens[blockIdx.x] = token;
    if (table.tokens && (unsigned)sampling.slot < table.slots &&
        (unsigned)sampling.position < table.tokens_max)
        ((int *)table.tokens)[(size_t)sampling.slot * table.tokens_max + sampling.position] = token;
}

extern "C" enum ss_status ss_cuda_sample(struct ss_ops *ops, struct ss_stream *stream,
                                         ss_device_address logits, uint32_t count, uint32_t parts,
                                         uint32_t part_columns, uint32_t vocab,
                                         ss_device_address sampling, ss_device_address tokens,
                                         const struct ss_token_table *table)
{
    struct ss_token_table none = {0, 0, 0};
    if (count == 0)
        return SS_OK;
    return launch_by_type(ops, "sample", [&](auto type) {
        using T = decltype(type);
        struct row_of_logits<T> rows = {
            (const T *)logits, 0, count, parts, part_columns, vocab
        };
        sample<T><<<count, THREADS, 0, native(stream)>>>(rows, (const struct ss_sampling *)sampling,
                                                         (int *)tokens, table ? *table : none);
    });
}

extern "C" int ss_cuda_load_sample(void)
{
    return load_kernels(sample<__half>, sample<__nv_bfloat16>);
}
