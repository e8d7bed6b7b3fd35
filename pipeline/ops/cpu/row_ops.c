#include "pipeline/ops/cpu/row_ops.h"

#include <math.h>
#include <string.h>

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE half precision: the exponent is moved by a product with 2^112, which also makes subnormal
 * halves normal; the all-ones exponent is put back by hand. */
static float widen_f16(uint16_t half)
{
    uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13;
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    float value = magnitude >= 0x0f800000u ? from_bits(0x7f800000u | (magnitude & 0x007fffffu))
                                           : from_bits(magnitude) * 0x1p112f;
    return sign ? -value : value;
}

void ss_cpu_widen(float *to, const void *from, uint64_t index, uint32_t count, enum ss_dtype dtype)
{
    const uint16_t *halves = (const uint16_t *)from + index;
    switch (dtype) {
    case SS_F32:
        memcpy(to, (const float *)from + index, count * sizeof *to);
        break;
    case SS_F16:
        for (uint32_t i = 0; i < count; i++)
            to[i] = widen_f16(halves[i]);
        break;
    case SS_BF16:
        for (uint32_t i = 0; i < count; i++)
            to[i] = from_bits((uint32_t)halves[i] << 16);
        break;
    }
}

void ss_cpu_embed(float *out, const int32_t *tokens, uint32_t rows,
                  const struct ss_cpu_table *table, uint32_t first_token)
{
    uint32_t columns = table->columns;
    for (size_t row = 0; row < rows; row++) {
        int64_t index = (int64_t)tokens[row] - first_token;
        if (index < 0 || index >= table->rows)
            memset(out + row * columns, 0, columns * sizeof *out);
        else
            ss_cpu_widen(out + row * columns, table->data, (uint64_t)index * columns, columns,
                         table->dtype);
    }
}

enum { PIECE = 64 }; /* elements converted at a time, on the stack */

/* out[columns] += weights [INDEX, INDEX + COLUMNS). */
static void add_weights(float *out, const void *from, uint64_t index, uint32_t columns,
                        enum ss_dtype dtype)
{
    for (uint32_t begin = 0; begin < columns; begin += PIECE) {
        float piece[PIECE];
        uint32_t count = columns - begin < PIECE ? columns - begin : PIECE;
        ss_cpu_widen(piece, from, index + begin, count, dtype);
        for (uint32_t i = 0; i < count; i++)
            out[begin + i] += piece[i];
    }
}

enum ss_status ss_cpu_add_positions(float *out, const int32_t *positions, uint32_t rows,
                                    const struct ss_cpu_table *table, uint32_t offset)
{
    for (size_t row = 0; row < rows; row++) {
        int64_t index = (int64_t)positions[row] + offset;
        if (positions[row] < 0) /* padding */
            continue;
        if (index < 0 || index >= table->rows)
            return ss_fail(SS_INTERNAL,
                           "add_positions: row %zu has position %d, the table ends at %u", row,
                           positions[row], table->rows - offset);
        add_weights(out + row * table->columns, table->data, (uint64_t)index * table->columns,
                    table->columns, table->dtype);
    }
    return SS_OK;
}

void ss_cpu_add(float *out, const float *in, uint32_t rows, uint32_t columns,
                const struct ss_cpu_vector *bias)
{
    for (size_t row = 0; row < rows; row++) {
        for (uint32_t c = 0; c < columns; c++)
            out[row * columns + c] += in[row * columns + c];
        if (bias->data)
            add_weights(out + row * columns, bias->data, 0, columns, bias->dtype);
    }
}

void ss_cpu_gelu(float *data, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        data[i] = 0.5f * data[i] * (1.0f + erff(data[i] * 0x1.6a09e6p-1f));
}

static void rotate_head(float *head, uint32_t half, const float *cosines, const float *sines)
{
    for (uint32_t i = 0; i < half; i++) {
        float a = head[i], b = head[half + i];
        head[i] = a * cosines[i] - b * sines[i];
        head[half + i] = b * cosines[i] + a * sines[i];
    }
}

void ss_cpu_rotate(float *out, const float *in, const int32_t *positions, uint32_t rows,
                   uint32_t heads, uint32_t kv_heads, uint32_t head_dim, const float *frequencies)
{
    size_t width = (size_t)(heads + 2 * kv_heads) * head_dim;
    float cosines[SS_CPU_HEAD_DIM_MAX / 2], sines[SS_CPU_HEAD_DIM_MAX / 2];
    uint32_t half = head_dim / 2;
    for (size_t row = 0; row < rows; row++) {
        for (uint32_t i = 0; i < half; i++) {
            float angle = (float)positions[row] * frequencies[i];
            cosines[i] = cosf(angle);
            sines[i] = sinf(angle);
        }
        float *first = memcpy(out + row * width, in + row * width, width * sizeof *out);
        /* Keys lie behind queries, so both are one run of heads. */
        for (uint32_t h = 0; h < heads + kv_heads; h++)
            rotate_head(first + (size_t)h * head_dim, half, cosines, sines);
    }
}

void ss_cpu_write_kv(const struct ss_cpu_attention *call)
{
    const struct ss_kv_layout *kv = &call->kv;
    size_t width = (size_t)kv->kv_heads * kv->head_dim;
    for (size_t row = 0; row < call->rows; row++) {
        if (call->positions[row] < 0) /* padding */
            continue;
        uint32_t position = (uint32_t)call->positions[row];
        uint64_t page =
            (uint64_t)call->blocks[(size_t)call->sequence_of[row] * call->blocks_stride +
                                   position / kv->block_tokens];
        char *layer =
            (char *)(uintptr_t)(kv->pool + page * kv->page_bytes + call->layer * kv->layer_bytes);
        size_t at = position % kv->block_tokens * width * sizeof(float);
        const float *keys = call->qkv + row * ((size_t)call->heads * kv->head_dim + 2 * width) +
                            (size_t)call->heads * kv->head_dim;
        memcpy(layer + at, keys, width * sizeof *keys);
        memcpy(layer + kv->layer_bytes / 2 + at, keys + width, width * sizeof *keys);
    }
}

void ss_cpu_gather_rows(float *out, const float *in, const int32_t *index, uint32_t count,
                        uint32_t columns)
{
    for (size_t i = 0; i < count; i++)
        memcpy(out + i * columns, in + (size_t)index[i] * columns, columns * sizeof *out);
}
