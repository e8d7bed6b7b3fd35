/* Causal attention of many rows of a sequence at once, on the tensor cores: one block takes 64 rows
 * of one query head and goes over keys and values in tiles of 64 positions, keeping a running
 * softmax and never the matrix of scores (Dao, "FlashAttention-2", arXiv 2307.08691). The next tile
 * is copied to shared memory while the present one is multiplied.
 *
 * Fragments are those of mma.m16n8k16 and ldmatrix (PTX ISA, "Warp Level Matrix Instructions"): in
 * an accumulator a thread has, of each 16 x 8 tile, two neighbouring columns of row lane / 4 and of
 * the row eight below. */
#include "pipeline/ops/cuda/attention.cuh"
#include "pipeline/ops/cuda/mma.cuh"

#define WARPS   4
#define THREADS (32 * WARPS)
#define ROWS    (16 * WARPS) /* of queries, a warp taking 16 */
#define SPAN    64           /* positions of a tile */

/* Eight elements more than a row has keep ldmatrix free of bank conflicts. */
template <int DIM> struct stride {
    static const int value = DIM + 8;
};

template <typename T, int DIM> struct tile {
    T keys[SPAN][stride<DIM>::value];
    T values[SPAN][stride<DIM>::value];
};

template <typename T, int DIM> struct tiles {
    struct tile<T, DIM> tile[2];
    const T *rows[2][SPAN]; /* where keys of a tile to be copied lie; null past the end */
};

template <typename T>
static __device__ void find_rows(const T **rows, const struct context &c, unsigned sequence,
                                 unsigned kv_head, unsigned begin, unsigned length)
{
    for (unsigned i = threadIdx.x; i < SPAN; i += THREADS)
        rows[i] = begin + i < length
                      ? place_of<T>(c, sequence, begin + i) + (size_t)kv_head * c.kv.head_dim
                      : (const T *)0;
}

template <typename T, int DIM>
static __device__ void copy_tile(struct tile<T, DIM> *to, const T *const *rows, size_t values_at,
                                 const T *anywhere)
{
    for (unsigned i = threadIdx.x; i < SPAN * DIM / 8; i += THREADS) {
        unsigned row = i / (DIM / 8), column = i % (DIM / 8) * 8;
        const T *from = rows[row];
        copy_16(&to->keys[row][column], from ? from + column : anywhere, from ? 16 : 0);
        copy_16(&to->values[row][column], from ? from + values_at + column : anywhere,
                from ? 16 : 0);
    }
    asm volatile("cp.async.commit_group;");
}

/* A warp's 16 rows of one head. The thread's two rows are LANE / 4 and eight below. */
template <typename T, int DIM> struct band {
    unsigned query[DIM / 16][4]; /* fragments */
    float sum[DIM / 8][4];
    float maximum[2], total[2]; /* of scores times log2(e); of the thread's own columns */
    unsigned position[2];

    __device__ void begin(const T *const *from, const unsigned *at)
    {
        unsigned pair = threadIdx.x % 4 * 2;
        for (int k = 0; k < DIM / 16; k++)
            for (int part = 0; part < 4; part++)
                query[k][part] = *(const unsigned *)(from[part % 2] + k * 16 + part / 2 * 8 + pair);
        for (int n = 0; n < DIM / 8; n++)
            for (int i = 0; i < 4; i++)
                sum[n][i] = 0;
        for (int half = 0; half < 2; half++) {
            maximum[half] = -INFINITY;
            total[half] = 0;
            position[half] = at[half];
        }
    }

    __device__ void score(float (*scores)[4], const struct tile<T, DIM> *tile, unsigned first,
                          float scale)
    {
        unsigned lane = threadIdx.x % 32, matrix = lane / 8;
#pragma unroll
        for (int n = 0; n < SPAN / 8; n += 2) {
            for (int i = 0; i < 4; i++)
                scores[n][i] = scores[n + 1][i] = 0;
#pragma unroll
            for (int k = 0; k < DIM / 16; k++) {
                unsigned keys[4];
                load_matrices(
                    keys, &tile->keys[n * 8 + matrix / 2 * 8 + lane % 8][k * 16 + matrix % 2 * 8]);
                multiply(scores[n], query[k], keys, T());
                multiply(scores[n + 1], query[k], keys + 2, T());
            }
        }
#pragma unroll
        for (int n = 0; n < SPAN / 8; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                unsigned at = first + n * 8 + lane % 4 * 2 + i % 2;
                scores[n][i] = at <= position[i / 2] ? scores[n][i] * scale : -INFINITY;
            }
    }

    /* Every row sees position 0, which is in the first tile: the maximum is finite from there. */
    __device__ void weigh(float (*scores)[4])
    {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float most = maximum[half];
#pragma unroll
            for (int n = 0; n < SPAN / 8; n++)
                most = fmaxf(most, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
            most = quad_max(most);
            float factor = exp2f(maximum[half] - most);
            maximum[half] = most;
            total[half] *= factor;
#pragma unroll
            for (int n = 0; n < DIM / 8; n++) {
                sum[n][2 * half] *= factor;
                sum[n][2 * half + 1] *= factor;
            }
#pragma unroll
            for (int n = 0; n < SPAN / 8; n++)
#pragma unroll
                for (int i = 2 * half; i < 2 * half + 2; i++) {
                    scores[n][i] = exp2f(scores[n][i] - most);
                    total[half] += scores[n][i];
                }
        }
    }

    __device__ void add(const float (*weights)[4], const struct tile<T, DIM> *tile)
    {
        unsigned lane = threadIdx.x % 32, matrix = lane / 8;
#pragma unroll
        for (int k = 0; k < SPAN / 16; k++) {
            const float *left = weights[2 * k], *right = weights[2 * k + 1];
            unsigned a[4] = {pack<T>(left[0], left[1]), pack<T>(left[2], left[3]),
                             pack<T>(right[0], right[1]), pack<T>(right[2], right[3])};
#pragma unroll
            for (int n = 0; n < DIM / 8; n += 2) {
                unsigned values[4];
                load_transposed(
                    values,
                    &tile->values[k * 16 + matrix % 2 * 8 + lane % 8][n * 8 + matrix / 2 * 8]);
                multiply(sum[n], a, values, T());
                multiply(sum[n + 1], a, values + 2, T());
            }
        }
    }

    /* The largest weight is 1: less is the total of a row of no sequence, which gets zeros. */
    __device__ void end(T *const *to, const bool *is_row)
    {
        unsigned pair = threadIdx.x % 4 * 2;
        for (int half = 0; half < 2; half++) {
            float all = fmaxf(quad_sum(total[half]), 1);
            for (int n = 0; n < DIM / 8 && is_row[half]; n++)
                *(unsigned *)(to[half] + n * 8 + pair) =
                    pack<T>(sum[n][2 * half] / all, sum[n][2 * half + 1] / all);
        }
    }
};

template <typename T, int DIM>
static __global__ void __launch_bounds__(THREADS)
    attend_tiled(T *out, const T *qkv, const struct context c)
{
    extern __shared__ __align__(16) unsigned char memory[];
    struct tiles<T, DIM> *shared = (struct tiles<T, DIM> *)memory;
    unsigned sequence = blockIdx.z, head = blockIdx.y, count = c.rows_of(sequence);
    unsigned first = (gridDim.x - 1 - blockIdx.x) * ROWS; /* the longest first */
    if (count < c.tiled_rows_min || first >= count)
        return;
    unsigned kv_head = head / (c.heads / c.kv.kv_heads), begin = (unsigned)c.row_begin[sequence];
    unsigned last = min(first + ROWS, count) - 1;
    unsigned length = (unsigned)c.positions[begin + last] + 1;
    unsigned tile_count = (length + SPAN - 1) / SPAN;
    size_t values_at = c.kv.layer_bytes / 2 / sizeof(T);

    struct band<T, DIM> band;
    const T *from[2];
    T *to[2];
    unsigned at[2];
    bool is_row[2];
    for (int half = 0; half < 2; half++) {
        unsigned row = first + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + half * 8;
        is_row[half] = row <= last;
        row = begin + min(row, last);
        from[half] = qkv + ((size_t)row * (c.heads + 2 * c.kv.kv_heads) + head) * DIM;
        to[half] = out + ((size_t)row * c.heads + head) * DIM;
        at[half] = (unsigned)c.positions[row];
    }
    band.begin(from, at);

    find_rows(shared->rows[0], c, sequence, kv_head, 0, length);
    find_rows(shared->rows[1], c, sequence, kv_head, SPAN, length);
    __syncthreads();
    copy_tile(&shared->tile[0], shared->rows[0], values_at, qkv);
    for (unsigned t = 0; t < tile_count; t++) {
        if (t + 1 < tile_count) {
            copy_tile(&shared->tile[(t + 1) % 2], shared->rows[(t + 1) % 2], values_at, qkv);
            asm volatile("cp.async.wait_group 1;");
        } else {
            asm volatile("cp.async.wait_group 0;");
        }
        __syncthreads();
        find_rows(shared->rows[t % 2], c, sequence, kv_head, (t + 2) * SPAN, length);
        float scores[SPAN / 8][4];
        band.score(scores, &shared->tile[t % 2], t * SPAN, c.scale * LOG2E);
        band.weigh(scores);
        band.add(scores, &shared->tile[t % 2]);
        __syncthreads();
    }
    band.end(to, is_row);
}

bool ss_cuda_tiles_fit(unsigned head_dim)
{
    return head_dim == 64 || head_dim == 80 || head_dim == 96 || head_dim == 128;
}

/* Calls DO with the kernel for a head's dimension, and its shared memory. */
template <typename T, typename Do> static void with_kernel(unsigned head_dim, Do use)
{
    if (head_dim == 64)
        use(attend_tiled<T, 64>, sizeof(struct tiles<T, 64>));
    else if (head_dim == 80)
        use(attend_tiled<T, 80>, sizeof(struct tiles<T, 80>));
    else if (head_dim == 96)
        use(attend_tiled<T, 96>, sizeof(struct tiles<T, 96>));
    else
        use(attend_tiled<T, 128>, sizeof(struct tiles<T, 128>));
}

template <typename T>
void ss_cuda_attend_tiled(T *out, const T *qkv, const struct context &c, unsigned sequences,
                          unsigned rows_max, cudaStream_t stream)
{
    dim3 grid((rows_max + ROWS - 1) / ROWS, c.heads, sequences);
    with_kernel<T>(c.kv.head_dim, [&](auto kernel, size_t bytes) {
        kernel<<<grid, THREADS, bytes, stream>>>(out, qkv, c);
    });
}

template void ss_cuda_attend_tiled(__half *, const __half *, const struct context &, unsigned,
                                   unsigned, cudaStream_t);
template void ss_cuda_attend_tiled(__nv_bfloat16 *, const __nv_bfloat16 *, const struct context &,
                                   unsigned, unsigned, cudaStream_t);

/* More shared memory than 48 KiB has to be asked for; that loads the kernel too. */
template <typename T> static cudaError_t load(unsigned head_dim)
{
    cudaError_t code = cudaSuccess;
    with_kernel<T>(head_dim, [&](auto kernel, size_t bytes) {
        code =
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
        if (code == cudaSuccess)
            code = (cudaError_t)load_kernels(kernel);
    });
    return code;
}

extern "C" int ss_cuda_load_attention_tiled(struct ss_cuda_ops *)
{
    const unsigned dims[] = {64, 80, 96, 128};
    for (unsigned dim : dims) {
        cudaError_t code = load<__half>(dim);
        if (code == cudaSuccess)
            code = load<__nv_bfloat16>(dim);
        if (code != cudaSuccess)
            return (int)code;
    }
    return cudaSuccess;
}
