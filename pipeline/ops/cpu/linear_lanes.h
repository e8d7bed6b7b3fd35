/* The matrix product, in the manner of Goto and van de Geijn ("Anatomy of high-performance matrix
 * multiplication", ACM TOMS 34(3), 2008) but with dot products as the inner kernel, because a
 * weight row is contiguous and must not be transposed: a tile of row x column dot products runs
 * over k in registers, sixteen partial sums per output. Long products are cut over k, and their
 * partial sums wait in scratch: storing them changes no bit.
 * Included after a lanes_*.h and a sum_products*.h. */
#ifndef SS_PIPELINE_OPS_CPU_LINEAR_LANES_H
#define SS_PIPELINE_OPS_CPU_LINEAR_LANES_H

#include "pipeline/ops/cpu/lanes_math.h"
#include "pipeline/ops/cpu/scratch.h"

/* From this many rows on, a block's weights are packed first, as fp32: converted once instead of
 * once per row tile, and in one piece, where rows a power of two apart would fall on the same lines
 * of the cache. */
#define ROWS_TO_PACK 16

/* A tile of the product: up to LANES_ROW_TILE rows by COLUMN_TILE columns, over k elements. */
struct linear_tile {
    const float *in; /* row r at in + r * in_stride */
    size_t in_stride;
    const void *weight[COLUMN_TILE]; /* each at the tile's first element of k */
    uint32_t k;
    float *accumulators; /* [rows][COLUMN_TILE][LANES] */
    bool resume, finish; /* start from the accumulators; write sums instead of them */
    float *out;          /* row r at out + r * out_stride */
    size_t out_stride;
    uint32_t columns;  /* to be written: at most COLUMN_TILE */
    const float *bias; /* [COLUMN_TILE] */
    enum ss_activation activation;
};

SS_INLINE void finish_row(const struct linear_tile *tile, const lanes sums[COLUMN_TILE], int row)
{
    quad value = lanes_sum_4(sums), bias;
    memcpy(&bias, tile->bias, sizeof bias);
    value += bias;
    if (tile->activation == SS_ACTIVATION_RELU)
        value = quad_relu(value);
    float *out = tile->out + (size_t)row * tile->out_stride;
    if (tile->columns == COLUMN_TILE)
        memcpy(out, &value, sizeof value);
    else
        memcpy(out, &value, tile->columns * sizeof *out);
}

SS_INLINE void run_tile(const struct linear_tile *tile, enum ss_dtype dtype, int rows)
{
    lanes sums[LANES_ROW_TILE][COLUMN_TILE];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < COLUMN_TILE; c++)
            sums[r][c] = tile->resume
                             ? lanes_load(tile->accumulators + (r * COLUMN_TILE + c) * LANES)
                             : lanes_set(0);
    const float *in = tile->in;
    uint32_t k = tile->k, i = k / LANES * LANES;
    size_t stride = tile->in_stride;
    sum_products(in, stride, tile->weight, i, dtype, rows, sums);
    if (i < k) {
        lanes w[COLUMN_TILE];
#pragma GCC unroll 4
        for (int c = 0; c < COLUMN_TILE; c++)
            w[c] = lanes_load_part_as(tile->weight[c], i, k - i, dtype);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            lanes x = lanes_load_part(in + (size_t)r * stride + i, k - i);
#pragma GCC unroll 4
            for (int c = 0; c < COLUMN_TILE; c++)
                sums[r][c] = lanes_fma(x, w[c], sums[r][c]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
        if (tile->finish) {
            finish_row(tile, sums[r], r);
            continue;
        }
#pragma GCC unroll 4
        for (int c = 0; c < COLUMN_TILE; c++)
            lanes_store(tile->accumulators + (r * COLUMN_TILE + c) * LANES, sums[r][c]);
    }
}

SS_INLINE void run_tile_rows(const struct linear_tile *tile, enum ss_dtype dtype, uint32_t rows)
{
    if (LANES_ROW_TILE >= 6 && rows == 6)
        run_tile(tile, dtype, LANES_ROW_TILE >= 6 ? 6 : 1);
    else if (LANES_ROW_TILE >= 5 && rows == 5)
        run_tile(tile, dtype, LANES_ROW_TILE >= 5 ? 5 : 1);
    else if (LANES_ROW_TILE >= 4 && rows == 4)
        run_tile(tile, dtype, LANES_ROW_TILE >= 4 ? 4 : 1);
    else if (LANES_ROW_TILE >= 3 && rows == 3)
        run_tile(tile, dtype, LANES_ROW_TILE >= 3 ? 3 : 1);
    else if (LANES_ROW_TILE >= 2 && rows == 2)
        run_tile(tile, dtype, LANES_ROW_TILE >= 2 ? 2 : 1);
    else
        run_tile(tile, dtype, 1);
}

static void run_tile_f32(const struct linear_tile *tile, uint32_t rows)
{
    run_tile_rows(tile, SS_F32, rows);
}

static void run_tile_f16(const struct linear_tile *tile, uint32_t rows)
{
    run_tile_rows(tile, SS_F16, rows);
}

static void run_tile_bf16(const struct linear_tile *tile, uint32_t rows)
{
    run_tile_rows(tile, SS_BF16, rows);
}

typedef void (*run_tile_function)(const struct linear_tile *tile, uint32_t rows);

static const run_tile_function run_tile_as[] = {
    [SS_F32] = run_tile_f32, [SS_F16] = run_tile_f16, [SS_BF16] = run_tile_bf16};

/* One block: rows x columns outputs over DEPTH elements of k. */
struct linear_block {
    uint32_t row, rows, column, columns, begin, depth;
    const char *weight; /* of (column, begin) */
    size_t weight_stride_bytes;
    enum ss_dtype dtype;
    float bias[SS_LINEAR_COLUMNS];
};

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* The columns of a tile past the matrix repeat its last one and are not written. */
static void set_columns(struct linear_tile *tile, const struct linear_block *block, uint32_t column)
{
    tile->columns = least(COLUMN_TILE, block->columns - column);
    tile->bias = block->bias + column;
    for (uint32_t c = 0; c < COLUMN_TILE; c++) {
        uint32_t at = column + least(c, tile->columns - 1);
        tile->weight[c] = block->weight + at * block->weight_stride_bytes;
    }
}

/* Rows outside, columns inside: a row tile's inputs stay in the first-level cache while the block's
 * weights stream from the second. */
static void run_block(const struct ss_cpu_linear *call, const struct linear_block *block,
                      float *accumulators)
{
    run_tile_function run = run_tile_as[block->dtype];
    struct linear_tile tile = {.in_stride = call->k,
                               .k = block->depth,
                               .resume = block->begin > 0,
                               .finish = block->begin + block->depth == call->k,
                               .out_stride = call->n,
                               .accumulators = accumulators,
                               .activation = call->activation};
    for (uint32_t row = 0; row < block->rows; row += LANES_ROW_TILE) {
        uint32_t rows = least(LANES_ROW_TILE, block->rows - row);
        size_t at = block->row + row;
        tile.in = call->in + at * call->k + block->begin;
        for (uint32_t column = 0; column < block->columns; column += COLUMN_TILE) {
            set_columns(&tile, block, column);
            tile.out = call->out + at * call->n + block->column + column;
            run(&tile, rows);
            tile.accumulators += rows * COLUMN_TILE * LANES;
        }
    }
}

static void set_bias(struct linear_block *block, const struct ss_cpu_vector *bias)
{
    if (!bias->data) {
        memset(block->bias, 0, sizeof block->bias);
        return;
    }
    const char *from = (const char *)bias->data + block->column * ss_dtype_bytes(bias->dtype);
    for (uint32_t i = 0; i < block->columns; i += LANES)
        lanes_store(block->bias + i, lanes_load_within_as(from, i, block->columns, bias->dtype));
}

static void pack_weights(struct linear_block *block, float *to)
{
    const char *from = block->weight;
    for (uint32_t c = 0; c < block->columns; c++) {
        float *row = to + (size_t)c * SS_LINEAR_DEPTH;
        for (uint32_t i = 0; i < block->depth; i += LANES)
            lanes_store(row + i, lanes_load_within_as(from, i, block->depth, block->dtype));
        from += block->weight_stride_bytes;
    }
    block->weight = (const char *)to;
    block->weight_stride_bytes = SS_LINEAR_DEPTH * sizeof *to;
    block->dtype = SS_F32;
}

/* All of k for one block of outputs. */
static void run_columns(const struct ss_cpu_linear *call, struct linear_block *block,
                        struct ss_cpu_scratch *scratch)
{
    size_t size = ss_dtype_bytes(call->dtype), stride = call->k * size;
    /* One row tile reads each weight once: nothing to keep in a cache. */
    uint32_t depth_max = call->rows <= LANES_ROW_TILE ? call->k : SS_LINEAR_DEPTH;
    set_bias(block, &call->bias);
    for (block->begin = 0; block->begin < call->k; block->begin += depth_max) {
        block->depth = least(depth_max, call->k - block->begin);
        block->weight = (const char *)call->weight + block->column * stride + block->begin * size;
        block->weight_stride_bytes = stride;
        block->dtype = call->dtype;
        if (block->rows >= ROWS_TO_PACK)
            pack_weights(block, scratch->weights);
        run_block(call, block, scratch->accumulators);
    }
}

static void kernel_linear(const struct ss_cpu_linear *call, struct ss_cpu_scratch *scratch)
{
    struct linear_block block;
    for (block.row = 0; block.row < call->rows; block.row += SS_LINEAR_ROWS) {
        block.rows = least(SS_LINEAR_ROWS, call->rows - block.row);
        for (block.column = 0; block.column < call->n; block.column += SS_LINEAR_COLUMNS) {
            block.columns = least(SS_LINEAR_COLUMNS, call->n - block.column);
            run_columns(call, &block, scratch);
        }
    }
}

#endif
