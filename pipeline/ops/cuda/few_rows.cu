/* Products of few rows, which are bound by reading the weights: out = act(norm(in) * weight^T +
 * bias), added to out where asked.
 *
 * One block a multiprocessor takes eight rows of the weight at a time. Their bytes come by bulk
 * copies (PTX ISA, "cp.async.bulk") into a ring of spans of columns, as deep as shared memory
 * allows, which a warp of its own keeps full from before the kernel's input is there; the input's
 * rows stay in shared memory. Sixteen warps cut each span, multiply on the tensor cores with sums
 * in fp32, and add their parts in order. A column of the product never meets another, so a row's
 * bits depend on that row alone, whatever the number of rows.
 *
 * In mma.m16n8k16 a lane holds, of row (A) and of column (B) lane / 4, two pairs of the 16 inner
 * places. Which places is free as long as both sides agree: here they are neighbours, so that 16
 * bytes of each side serve two products. */
#include "pipeline/ops/cuda/bulk.cuh"
#include "pipeline/ops/cuda/elements.cuh"
#include "pipeline/ops/cuda/few_rows.h"
#include "pipeline/ops/cuda/launch.cuh"
#include "pipeline/ops/cuda/mma.cuh"

#define WARPS    16
#define WORKERS  (32 * WARPS)
#define THREADS  (WORKERS + 32) /* the last warp copies */
#define TILE     8              /* rows of the weight */
#define SPAN     1024           /* columns of the weight: 64 a warp */
#define WIDTH    8              /* elements of 16 bytes */
#define ROWS_MAX 8u
#define RING_MIN 3u
#define RING_MAX 16u

/* Shared memory that a ring leaves to a block of the attention before or behind, so that either may
 * begin while the other ends. */
#define ROOM_BYTES ((size_t)40 << 10)

/* Half a line of shared memory more than a row has: lanes of neighbouring rows meet no bank of
 * each other. */
#define PAD_BYTES   64u
#define PLACE_BYTES (TILE * (SPAN * 2u + PAD_BYTES))

struct normed {
    enum ss_norm_kind kind;
    struct weights weight, bias;
    float epsilon;
};

template <typename T, typename Out> struct product {
    Out *out;
    const T *in, *weight;
    struct weights bias;
    struct normed norm;
    unsigned rows, n, k;
    unsigned ring, row_bytes; /* places of the ring; bytes of a row of the input in shared memory */
    enum ss_activation activation;
    bool gated, adds;
    unsigned tiles, columns; /* columns of the output */

    /* Of row R of a tile, counted in the weight; at least n: none. A gated tile has four rows of
     * the gate and the four that they gate. */
    __device__ unsigned weight_row(unsigned tile, unsigned r) const
    {
        if (!gated)
            return tile * TILE + r;
        unsigned column = tile * (TILE / 2) + r % (TILE / 2);
        return column < columns ? column + r / (TILE / 2) * columns : n;
    }
};

struct shared {
    unsigned long long full[RING_MAX], empty[RING_MAX];
    float parts[2][WARPS][ROWS_MAX][TILE];
    float sums[ROWS_MAX][WARPS];
};

#if __CUDA_ARCH__ >= 900

/* A place of the ring, and the parity of its round. Counted, not divided: that is what a span's
 * time would go into. */
struct turn {
    unsigned place, parity;

    __device__ void next(unsigned ring)
    {
        place++;
        if (place == ring) {
            place = 0;
            parity ^= 1;
        }
    }
};

/* The workers' own barrier: the copying warp is not in it. */
static __device__ inline void meet(void)
{
    asm volatile("bar.sync 1, %0;" ::"n"(WORKERS) : "memory");
}

/* One lane a row of the tile. */
template <typename T, typename Out>
static __device__ void copy_weights(const struct product<T, Out> &p, struct shared *shared,
                                    unsigned char *ring)
{
    unsigned lane = threadIdx.x % 32;
    struct turn turn = {0, 1}; /* a barrier that nobody came to yet has the parity before: free */
    for (unsigned tile = blockIdx.x; tile < p.tiles; tile += gridDim.x) {
        unsigned row = lane < TILE ? p.weight_row(tile, lane) : p.n;
        unsigned count = (unsigned)__popc(__ballot_sync(0xffffffffu, row < p.n));
        const T *from = p.weight + (size_t)row * p.k;
        for (unsigned begin = 0; begin < p.k; begin += SPAN) {
            unsigned place = turn.place, bytes = min(p.k - begin, SPAN) * (unsigned)sizeof(T);
            await(&shared->empty[place], turn.parity);
            if (lane == 0)
                expect(&shared->full[place], bytes * count);
            __syncwarp();
            if (row < p.n)
                copy_bulk(ring + place * PLACE_BYTES + lane * (SPAN * 2u + PAD_BYTES), from + begin,
                          bytes, &shared->full[place]);
            turn.next(p.ring);
        }
    }
}

/* Sums over the workers of each row's VALUES, a worker's own parts, in the order of norms.cu. */
static __device__ void sum_rows(float *values, unsigned rows, struct shared *shared)
{
#pragma unroll
    for (unsigned row = 0; row < ROWS_MAX; row++) {
        if (row >= rows)
            break;
        for (int step = 16; step; step /= 2)
            values[row] += __shfl_xor_sync(0xffffffffu, values[row], step);
        if (threadIdx.x % 32 == 0)
            shared->sums[row][threadIdx.x / 32] = values[row];
    }
    meet();
#pragma unroll
    for (unsigned row = 0; row < ROWS_MAX; row++) {
        if (row >= rows)
            break;
        values[row] = 0;
        for (int warp = 0; warp < WARPS; warp++)
            values[row] += shared->sums[row][warp];
    }
    meet();
}

/* The norm's weights for the elements that a worker meets first. */
#define AHEAD 2
struct affine {
    float weight[AHEAD][WIDTH], bias[AHEAD][WIDTH];
};

template <typename T, typename Out>
static __device__ void fetch_affine(const struct product<T, Out> &p, struct affine *affine)
{
#pragma unroll
    for (unsigned i = 0; i < AHEAD; i++) {
        unsigned c = (i * WORKERS + threadIdx.x) * WIDTH;
        if (c < p.k) {
            load_weights<T>(affine->weight[i], p.norm.weight, c, 1);
            load_weights<T>(affine->bias[i], p.norm.bias, c, 0);
        }
    }
}

/* The input's rows, 16 bytes at a time; returns the worker's own sums of them. */
template <typename T, typename Out>
static __device__ void copy_input(const struct product<T, Out> &p, unsigned char *input,
                                  float *sums)
{
#pragma unroll
    for (unsigned row = 0; row < ROWS_MAX; row++) {
        if (row >= p.rows)
            break;
        sums[row] = 0;
        for (unsigned c = threadIdx.x * WIDTH; c < p.k; c += WORKERS * WIDTH) {
            struct vector_of<T, WIDTH> part =
                *(const struct vector_of<T, WIDTH> *)(p.in + (size_t)row * p.k + c);
            *(struct vector_of<T, WIDTH> *)(input + row * p.row_bytes + c * sizeof(T)) = part;
#pragma unroll
            for (int i = 0; i < WIDTH; i++)
                sums[row] += widen(part.element[i]);
        }
    }
}

template <typename T, typename Out>
static __device__ void apply_affine(const struct product<T, Out> &p, unsigned char *input,
                                    unsigned c, const float *means, const float *scales,
                                    const float *weight, const float *bias)
{
#pragma unroll
    for (unsigned row = 0; row < ROWS_MAX; row++) {
        if (row >= p.rows)
            break;
        struct vector_of<T, WIDTH> *part =
            (struct vector_of<T, WIDTH> *)(input + row * p.row_bytes + c * sizeof(T));
#pragma unroll
        for (int i = 0; i < WIDTH; i++)
            part->element[i] = narrow<T>(
                normalised(widen(part->element[i]), means[row], scales[row], weight[i], bias[i]));
    }
}

/* What norms.cu does, bit by bit, to rows in shared memory. A worker meets the elements that it
 * copied. */
template <typename T, typename Out>
static __device__ void normalise(const struct product<T, Out> &p, unsigned char *input,
                                 float *means, const struct affine &affine, struct shared *shared)
{
    float scales[ROWS_MAX];
    if (p.norm.kind == SS_NORM_LAYER)
        sum_rows(means, p.rows, shared);
#pragma unroll
    for (unsigned row = 0; row < ROWS_MAX; row++) {
        if (row >= p.rows)
            break;
        means[row] = p.norm.kind == SS_NORM_LAYER ? means[row] / (float)p.k : 0;
        scales[row] = 0;
        for (unsigned c = threadIdx.x * WIDTH; c < p.k; c += WORKERS * WIDTH) {
            struct vector_of<T, WIDTH> part =
                *(struct vector_of<T, WIDTH> *)(input + row * p.row_bytes + c * sizeof(T));
#pragma unroll
            for (int i = 0; i < WIDTH; i++)
                scales[row] = add_square(scales[row], widen(part.element[i]) - means[row]);
        }
    }
    sum_rows(scales, p.rows, shared);
#pragma unroll
    for (unsigned row = 0; row < ROWS_MAX; row++)
        scales[row] = 1.0f / sqrtf(scales[row] / (float)p.k + p.norm.epsilon);
    unsigned c = threadIdx.x * WIDTH;
#pragma unroll
    for (unsigned i = 0; i < AHEAD; i++, c += WORKERS * WIDTH)
        if (c < p.k)
            apply_affine(p, input, c, means, scales, affine.weight[i], affine.bias[i]);
    for (; c < p.k; c += WORKERS * WIDTH) {
        float weight[WIDTH], bias[WIDTH];
        load_weights<T>(weight, p.norm.weight, c, 1);
        load_weights<T>(bias, p.norm.bias, c, 0);
        apply_affine(p, input, c, means, scales, weight, bias);
    }
}

/* What a worker writes of a tile: one element of the output, of a row and of the tile's places R
 * and, gated, that of the gate's partner. Bias and what it is added to are fetched ahead. */
template <typename T, typename Out> struct element {
    Out *to; /* null: none */
    unsigned row, r;
    float before, bias, partner_bias;

    __device__ void begin(const struct product<T, Out> &p, unsigned tile)
    {
        unsigned across = p.gated ? TILE / 2 : TILE, column = tile * across + threadIdx.x % across;
        row = threadIdx.x / across;
        r = threadIdx.x % across;
        to = row < p.rows && column < p.columns ? p.out + (size_t)row * p.columns + column : 0;
        before = bias = partner_bias = 0;
        if (!to)
            return;
        if (p.adds)
            before = widen(*to);
        if (p.bias.data)
            bias = p.bias.at(column);
        if (p.bias.data && p.gated)
            partner_bias = p.bias.at(p.columns + column);
    }

    /* The warps' sums of place R, in order. */
    __device__ float sum(const float (*parts)[ROWS_MAX][TILE], unsigned place) const
    {
        float total = 0;
#pragma unroll
        for (int warp = 0; warp < WARPS; warp++)
            total += parts[warp][row][place];
        return total;
    }

    __device__ void end(const struct product<T, Out> &p, const float (*parts)[ROWS_MAX][TILE]) const
    {
        if (!to)
            return;
        float value = sum(parts, r) + bias;
        if (p.gated)
            value = gate_by(value, sum(parts, r + TILE / 2) + partner_bias);
        else
            value = activate(value, p.activation);
        *to = narrow<Out>(p.adds ? before + value : value);
    }
};

/* A warp's part of a span: a lane has eight of every 32 columns. */
template <typename T, typename Out>
static __device__ inline void multiply_span(float *sum, const struct product<T, Out> &p,
                                            const unsigned char *input, const unsigned char *place,
                                            unsigned begin)
{
    unsigned lane = threadIdx.x % 32, row = lane / 4;
#pragma unroll
    for (unsigned i = 0; i < SPAN / WARPS / 32; i++) {
        unsigned at = threadIdx.x / 32 * (SPAN / WARPS) + i * 32 + lane % 4 * WIDTH;
        uint4 weight = {0, 0, 0, 0}, in = {0, 0, 0, 0};
        if (begin + at < p.k) {
            weight = *(const uint4 *)(place + row * (SPAN * 2u + PAD_BYTES) + at * sizeof(T));
            if (row < p.rows)
                in = *(const uint4 *)(input + row * p.row_bytes + (begin + at) * sizeof(T));
        }
        unsigned a[] = {in.x, 0, in.y, 0}, b[] = {weight.x, weight.y};
        multiply(sum, a, b, T());
        unsigned c[] = {in.z, 0, in.w, 0}, d[] = {weight.z, weight.w};
        multiply(sum, c, d, T());
    }
}

template <typename T, typename Out>
static __device__ void work(const struct product<T, Out> &p, struct shared *shared,
                            const unsigned char *input, const unsigned char *ring)
{
    unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32, side = 0;
    struct turn turn = {0, 0};
    for (unsigned tile = blockIdx.x; tile < p.tiles; tile += gridDim.x, side ^= 1) {
        float sum[4] = {0, 0, 0, 0};
        struct element<T, Out> element;
        element.begin(p, tile);
        for (unsigned begin = 0; begin < p.k; begin += SPAN, turn.next(p.ring)) {
            await(&shared->full[turn.place], turn.parity);
            multiply_span(sum, p, input, ring + turn.place * PLACE_BYTES, begin);
            __syncwarp();
            if (lane == 0)
                arrive(&shared->empty[turn.place]);
        }
        if (lane / 4 < p.rows) {
            shared->parts[side][warp][lane / 4][lane % 4 * 2] = sum[0];
            shared->parts[side][warp][lane / 4][lane % 4 * 2 + 1] = sum[1];
        }
        /* A worker that has met twice more has written what it read of this side. */
        meet();
        element.end(p, shared->parts[side]);
    }
}

#endif

template <typename T, typename Out>
static __global__ void __launch_bounds__(THREADS, 1)
    multiply_few(const __grid_constant__ struct product<T, Out> p)
{
#if __CUDA_ARCH__ >= 900
    extern __shared__ __align__(128) unsigned char memory[];
    __shared__ struct shared shared;
    unsigned char *input = memory + p.ring * PLACE_BYTES;
    let_next_begin();
    if (threadIdx.x == 0) {
        for (unsigned i = 0; i < p.ring; i++) {
            asm volatile(
                "mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(&shared.full[i])));
            asm volatile(
                "mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&shared.empty[i])),
                "n"(WARPS));
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    }
    __syncthreads();
    if (threadIdx.x >= WORKERS) {
        copy_weights(p, &shared, memory);
        return;
    }
    float sums[ROWS_MAX];
    struct affine affine;
    if (p.norm.kind != SS_NORM_NONE)
        fetch_affine(p, &affine);
    await_earlier();
    copy_input(p, input, sums);
    if (p.norm.kind != SS_NORM_NONE)
        normalise(p, input, sums, affine, &shared);
    meet();
    work(p, &shared, input, memory);
#endif
}

static size_t input_bytes(uint32_t rows, uint32_t k)
{
    uint32_t bytes = k * 2;
    return (size_t)rows * (bytes + (PAD_BYTES + 128 - bytes % 128) % 128);
}

extern "C" bool ss_cuda_few_rows_fit(const struct ss_cuda_ops *ops, const struct ss_dense *dense)
{
    const struct ss_weight *weight = dense->weight;
    return !ops->invariant && ops->shared_bytes_max &&
           weight->dtype == ops->base.table->activation_dtype && dense->rows <= ROWS_MAX &&
           weight->columns % WIDTH == 0 &&
           sizeof(struct shared) + RING_MIN * PLACE_BYTES +
                   input_bytes(dense->rows, weight->columns) <=
               ops->shared_bytes_max;
}

template <typename T, typename Out>
static void launch(const struct ss_cuda_ops *ops, cudaStream_t stream, const struct ss_dense *dense)
{
    const struct ss_weight *weight = dense->weight;
    const struct ss_norm *norm = &dense->norm;
    size_t in_bytes = input_bytes(dense->rows, weight->columns);
    size_t room = ops->shared_bytes_max - sizeof(struct shared) - in_bytes;
    size_t ring = room > ROOM_BYTES ? (room - ROOM_BYTES) / PLACE_BYTES : 0;
    ring = ring < RING_MIN ? RING_MIN : ring < RING_MAX ? ring : RING_MAX;
    struct product<T, Out> p = {
    };
    p.out = (Out *)dense->out;
    p.in = (const T *)dense->in;
    p.weight = (const T *)weight->address;
    p.bias = weights_of(dense->bias);
    p.norm = {norm->kind, weights_of(norm->weight), weights_of(norm->bias), norm->epsilon};
    p.rows = dense->rows;
    p.n = weight->rows;
    p.k = weight->columns;
    p.ring = (unsigned)ring;
    p.row_bytes = (unsigned)(in_bytes / dense->rows);
    p.activation = dense->activation;
    p.gated = dense->gated;
    p.adds = dense->adds;
    p.columns = dense->gated ? p.n / 2 : p.n;
    unsigned across = dense->gated ? TILE / 2 : TILE;
    p.tiles = (p.columns + across - 1) / across;
    unsigned blocks = p.tiles < ops->processors ? p.tiles : ops->processors;
    launch_early(multiply_few<T, Out>, dim3(blocks), THREADS, ring * PLACE_BYTES + in_bytes, stream,
                 p);
}

extern "C" enum ss_status ss_cuda_multiply_few(struct ss_cuda_ops *ops, struct ss_stream *stream,
                                               const struct ss_dense *dense)
{
    return launch_by_type(&ops->base, "linear", [&](auto type) {
        using T = decltype(type);
        if (dense->unfinished)
            launch<T, sum_of<T>>(ops, native(stream), dense);
        else
            launch<T, T>(ops, native(stream), dense);
    });
}

template <typename T, typename Out> static int load_for(int shared_bytes)
{
    cudaError_t code = cudaFuncSetAttribute(
        multiply_few<T, Out>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
    return code != cudaSuccess ? (int)code : load_kernels(multiply_few<T, Out>);
}

extern "C" int ss_cuda_load_few_rows(struct ss_cuda_ops *ops)
{
    int device, bytes, processors;
    cudaFuncAttributes built;
    cudaError_t code = cudaGetDevice(&device);
    if (code == cudaSuccess)
        code = cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    if (code == cudaSuccess)
        code = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
    if (code == cudaSuccess)
        code = cudaFuncGetAttributes(&built, (const void *)multiply_few<__half, __half>);
    if (code != cudaSuccess)
        return (int)code;
    ops->processors = (uint32_t)processors;
    /* Built for less, the kernel is empty, whatever the device is. */
    if (built.ptxVersion < 90)
        return cudaSuccess;
    ops->shared_bytes_max = (size_t)bytes;
    int dynamic = bytes - (int)sizeof(struct shared);
    int failed = load_for<__half, __half>(dynamic);
    failed = failed ? failed : load_for<__nv_bfloat16, __nv_bfloat16>(dynamic);
    return failed ? failed : load_for<__nv_bfloat16, float>(dynamic);
}
