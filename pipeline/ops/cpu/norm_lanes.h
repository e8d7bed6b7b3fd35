/* Layer norm (Ba, Kiros, Hinton, arXiv 1607.06450), RMS norm (Zhang, Sennrich, arXiv 1910.07467)
 * and SiLU. Included after a lanes_*.h. */
#ifndef SS_PIPELINE_OPS_CPU_NORM_LANES_H
#define SS_PIPELINE_OPS_CPU_NORM_LANES_H

#include <math.h>

#include "pipeline/ops/cpu/lanes_math.h"

static float mean_of(const float *in, uint32_t columns)
{
    lanes sum = lanes_set(0);
    for (uint32_t i = 0; i < columns; i += LANES)
        sum = lanes_add(sum, lanes_load_within(in, i, columns));
    return lanes_sum(sum) / (float)columns;
}

/* The mean of (in - CENTRE)^2. */
static float mean_square_of(const float *in, uint32_t columns, float centre)
{
    lanes sum = lanes_set(0), c = lanes_set(centre);
    for (uint32_t i = 0; i < columns; i += LANES) {
        lanes x = lanes_subtract(lanes_load_within(in, i, columns), c);
        if (i + LANES > columns)
            x = lanes_first(x, columns - i);
        sum = lanes_fma(x, x, sum);
    }
    return lanes_sum(sum) / (float)columns;
}

/* out = (in - centre) * factor * weight + bias */
static void normalise(const struct ss_cpu_norm *call, size_t row, float centre, float factor)
{
    const float *in = call->in + row * call->columns;
    float *out = call->out + row * call->columns;
    lanes c = lanes_set(centre), f = lanes_set(factor);
    const struct ss_cpu_vector *weight = &call->weight, *bias = &call->bias;
    for (uint32_t i = 0; i < call->columns; i += LANES) {
        lanes x = lanes_load_within(in, i, call->columns);
        x = lanes_multiply(lanes_subtract(x, c), f);
        if (weight->data)
            x = lanes_multiply(x,
                               lanes_load_within_as(weight->data, i, call->columns, weight->dtype));
        if (bias->data)
            x = lanes_add(x, lanes_load_within_as(bias->data, i, call->columns, bias->dtype));
        lanes_store_within(out, i, call->columns, x);
    }
}

static void kernel_layer_norm(const struct ss_cpu_norm *call)
{
    for (size_t row = 0; row < call->rows; row++) {
        const float *in = call->in + row * call->columns;
        float mean = mean_of(in, call->columns);
        float variance = mean_square_of(in, call->columns, mean);
        normalise(call, row, mean, 1.0f / sqrtf(variance + call->epsilon));
    }
}

static void kernel_rms_norm(const struct ss_cpu_norm *call)
{
    for (size_t row = 0; row < call->rows; row++) {
        float square = mean_square_of(call->in + row * call->columns, call->columns, 0);
        normalise(call, row, 0, 1.0f / sqrtf(square + call->epsilon));
    }
}

static void kernel_silu_multiply(float *out, const float *in, uint32_t rows, uint32_t columns)
{
    const lanes zero = lanes_set(0), one = lanes_set(1);
    for (size_t row = 0; row < rows; row++) {
        const float *gate = in + row * 2 * columns, *up = gate + columns;
        for (uint32_t i = 0; i < columns; i += LANES) {
            lanes x = lanes_load_within(gate, i, columns);
            lanes e = lanes_exp(lanes_subtract(zero, x));
            x = lanes_divide(x, lanes_add(one, e));
            x = lanes_multiply(x, lanes_load_within(up, i, columns));
            lanes_store_within(out + row * columns, i, columns, x);
        }
    }
}

static void kernel_exp(float *out, const float *in, uint32_t count)
{
    for (uint32_t i = 0; i < count; i += LANES)
        lanes_store_within(out, i, count, lanes_exp(lanes_load_within(in, i, count)));
}

#endif
