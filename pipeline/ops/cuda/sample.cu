/* Sampling. The blocks of a row each look for the best of a slice of its logits; the last of them
 * to end answers, or goes on to draw.
 *
 * A candidate is a 64-bit key, its logit above its id, so that descending keys are descending
 * logits, ties by ascending id, and no two are equal. What top_k, top_p and the draw leave is a set
 * of the form "keys of at least T": each T is found bit by bit from the top, by counting and
 * weighing the row once a bit that can differ. The sums' order is fixed. */
#include "pipeline/ops/cuda/elements.cuh"
#include "pipeline/ops/cuda/launch.cuh"

#define THREADS 1024
#define WARPS   (THREADS / 32)
#define SLICE   4096u

typedef unsigned long long key_t64;

/* Of a row while its blocks run; all zero between launches. */
struct progress {
    key_t64 best;
    unsigned ended, reserved;
};

#define ROWS_MAX (SS_CUDA_PROGRESS_BYTES / sizeof(struct progress))

/* A logit's part of the key, 0 where it is no candidate; its probability over that of the best. */
struct candidate {
    unsigned bits;
    float weight;
};

/* Two neighbouring ids, as one load. */
struct alignas(16) pair {
    struct candidate of[2];
};

static inline __host__ __device__ unsigned pairs_of(unsigned vocab)
{
    return (vocab + 1) / 2;
}

template <typename T> struct row_of_logits {
    const T *data;
    unsigned row, count, parts, part_columns, vocab;

    /* 0: no candidate. Larger logits are larger keys; of equal ones, lower ids are. */
    __device__ key_t64 key(unsigned id) const
    {
        size_t part = parts == 1 ? 0 : id / part_columns;
        float logit =
            widen(data[(part * count + row) * part_columns + id - part * part_columns]) + 0.0f;
        if (!(logit > -INFINITY))
            return 0;
        unsigned bits = __float_as_uint(logit);
        bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
        return (key_t64)bits << 32 | (0xffffffffu - id);
    }
};

/* The upper bits of a float that comes from a T; those below are zero. */
template <typename T> struct significant;
template <> struct significant<__half> {
    static const unsigned bits = 19;
};
template <> struct significant<__nv_bfloat16> {
    static const unsigned bits = 16;
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
    const struct pair *candidates; /* by id; a thread reads what it wrote */
    unsigned vocab;
    struct mass *shared;

    /* Of the candidates with keys of at least FLOOR. */
    __device__ struct mass above(key_t64 floor) const
    {
        struct mass mine = {0, 0};
#pragma unroll 8
        for (unsigned i = threadIdx.x; i < pairs_of(vocab); i += THREADS) {
            struct pair pair = candidates[i];
#pragma unroll
            for (unsigned k = 0; k < 2; k++) {
                key_t64 key = (key_t64)pair.of[k].bits << 32 | (0xffffffffu - (2 * i + k));
                if (pair.of[k].bits && key >= floor) {
                    mine.weight += pair.of[k].weight;
                    mine.count++;
                }
            }
        }
        return block_mass(mine, shared);
    }

    __device__ key_t64 try_bit(key_t64 found, int bit, unsigned count, double limit) const
    {
        key_t64 next = found | 1ull << bit;
        struct mass mass = above(next);
        return mass.count > 0 && (mass.count >= count || mass.weight >= limit) ? next : found;
    }

    /* The largest T of at least FLOOR for which the candidates of at least T are COUNT or more, or
     * weigh LIMIT or more: the last of the smallest such set. */
    __device__ key_t64 reach(key_t64 floor, unsigned count, double limit) const
    {
        const int lowest = 64 - significant<T>::bits;
        int id_bits = 32 - __clz((int)vocab);
        key_t64 found = 0;
        for (int bit = 63; bit >= lowest; bit--)
            found = try_bit(found, bit, count, limit);
        if (found == 0)
            return floor;
        /* A negative logit's bits are turned over, and so are the zeros below the significant. */
        if (!(found >> 63))
            found |= (1ull << lowest) - (1ull << 32);
        found |= (1ull << 32) - (1ull << id_bits);
        for (int bit = id_bits - 1; bit >= 0; bit--)
            found = try_bit(found, bit, count, limit);
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

/* The draw of a row whose best candidate is BEST; CANDIDATES is work memory. */
template <typename T>
static __device__ int draw_row(const struct row_of_logits<T> &logits, key_t64 best,
                               const struct ss_sampling &sampling, struct pair *candidates,
                               struct mass *shared)
{
    double most = logit_of(best), temperature = sampling.temperature;
    for (unsigned i = threadIdx.x; i < pairs_of(logits.vocab); i += THREADS) {
        struct pair pair;
        for (unsigned k = 0; k < 2; k++) {
            key_t64 key = 2 * i + k < logits.vocab ? logits.key(2 * i + k) : 0;
            float weight = key ? (float)exp(((double)logit_of(key) - most) / temperature) : 0;
            pair.of[k] = {(unsigned)(key >> 32), weight};
        }
        candidates[i] = pair;
    }
    return draw(search<T>{candidates, logits.vocab, shared}, sampling);
}

/* Whether this block is the last of its row; then *BEST is the row's. */
static __device__ bool is_last(struct progress *progress, key_t64 *best)
{
    __shared__ key_t64 found;
    __shared__ bool last;
    if (threadIdx.x == 0) {
        atomicMax(&progress->best, *best);
        __threadfence();
        last = atomicAdd(&progress->ended, 1) + 1 == gridDim.x;
        if (last) {
            found = atomicExch(&progress->best, 0);
            progress->ended = 0;
        }
    }
    __syncthreads();
    *best = found;
    return last;
}

template <typename T>
static __global__ void __launch_bounds__(THREADS, 1)
    sample(struct row_of_logits<T> logits, const struct ss_sampling *samplings, int *tokens,
           struct ss_token_table table, struct progress *progress, struct pair *candidates,
           unsigned first_row)
{
    __shared__ key_t64 keys[WARPS];
    __shared__ struct mass masses[WARPS];
    key_t64 best = 0;
    let_next_begin();
    await_earlier();
    logits.row = first_row + blockIdx.y;
    const struct ss_sampling sampling = samplings[logits.row];
    for (unsigned i = threadIdx.x; i < SLICE; i += THREADS) {
        unsigned id = blockIdx.x * SLICE + i;
        key_t64 key = id < logits.vocab ? logits.key(id) : 0;
        best = key > best ? key : best;
    }
    best = block_best(best, keys);
    if (!is_last(progress + blockIdx.y, &best))
        return;
    int token = best ? id_of(best) : 0;
    if (sampling.temperature > 0 && best && !isinf(logit_of(best)))
        token = draw_row(logits, best, sampling,
                         candidates + (size_t)blockIdx.y * pairs_of(logits.vocab), masses);
    if (threadIdx.x > 0)
        return;
    tokens[logits.row] = token;
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
    struct ss_cuda_ops *cuda = (struct ss_cuda_ops *)ops;
    struct ss_token_table none = {0, 0, 0};
    size_t most = SS_CUDA_SCRATCH_BYTES / (pairs_of(vocab) * sizeof(struct pair));
    most = most < ROWS_MAX ? most : ROWS_MAX;
    if (count == 0)
        return SS_OK;
    if (most == 0)
        return ss_fail(SS_UNSUPPORTED, "a vocabulary of %u is too large to sample from", vocab);
    return launch_by_type(ops, "sample", [&](auto type) {
        using T = decltype(type);
        struct row_of_logits<T> rows = {
            (const T *)logits, 0, count, parts, part_columns, vocab
        };
        for (unsigned first = 0; first < count; first += (unsigned)most) {
            dim3 grid((vocab + SLICE - 1) / SLICE, count - first < most ? count - first : most);
            launch_early(sample<T>, grid, THREADS, 0, native(stream), rows,
                         (const struct ss_sampling *)sampling, (int *)tokens, table ? *table : none,
                         (struct progress *)cuda->progress, (struct pair *)cuda->scratch_in, first);
        }
    });
}

extern "C" int ss_cuda_load_sample(struct ss_cuda_ops *ops)
{
    int failed = zero(ops->progress, SS_CUDA_PROGRESS_BYTES);
    return failed ? failed : load_kernels(sample<__half>, sample<__nv_bfloat16>);
}
