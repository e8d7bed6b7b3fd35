#include "engine/base/assert.h"
#include "pipeline/ops/cpu/queue.h"
#include "pipeline/ops/cpu/row_ops.h"
#include "swap/device/cpu/cpu.h"

static struct ss_cpu_ops *cpu(struct ss_ops *ops)
{
    return (struct ss_cpu_ops *)ops;
}

static struct ss_cpu_vector vector_of(const struct ss_weight *weight)
{
    return weight ? (struct ss_cpu_vector){.data = (const void *)(uintptr_t)weight->address,
                                           .dtype = weight->dtype}
                  : (struct ss_cpu_vector){0};
}

struct linear {
    struct ss_cpu_ops *ops;
    struct ss_cpu_linear call;
};

static enum ss_status run_linear(void *arguments)
{
    struct linear *linear = arguments;
    struct ss_cpu_ops *ops = linear->ops;
    pthread_mutex_lock(&ops->lock);
    ops->kernels->linear(&linear->call, ops->scratch);
    pthread_mutex_unlock(&ops->lock);
    if (linear->call.activation == SS_ACTIVATION_GELU)
        ss_cpu_gelu(linear->call.out, (uint64_t)linear->call.rows * linear->call.n);
    return SS_OK;
}

enum ss_status ss_cpu_queue_linear(struct ss_ops *ops, struct ss_stream *stream,
                                   ss_device_address out, ss_device_address in, uint32_t rows,
                                   const struct ss_weight *weight, const struct ss_weight *bias,
                                   enum ss_activation activation, bool unfinished)
{
    (void)unfinished;
    SS_ASSERT(!bias || bias->columns == weight->rows);
    const struct linear linear = {
        .ops = cpu(ops),
        .call = {.out = (float *)(uintptr_t)out,
                 .in = (const float *)(uintptr_t)in,
                 .rows = rows,
                 .k = weight->columns,
                 .n = weight->rows,
                 .weight = (const void *)(uintptr_t)weight->address,
                 .dtype = weight->dtype,
                 .bias = vector_of(bias),
                 .activation = activation},
    };
    return ss_cpu_stream_run(stream, run_linear, &linear, sizeof linear);
}

struct norm {
    void (*kernel)(const struct ss_cpu_norm *call);
    struct ss_cpu_norm call;
};

static enum ss_status run_norm(void *arguments)
{
    const struct norm *norm = arguments;
    norm->kernel(&norm->call);
    return SS_OK;
}

static enum ss_status queue_norm(struct ss_stream *stream,
                                 void (*kernel)(const struct ss_cpu_norm *call),
                                 ss_device_address out, ss_device_address in, uint32_t rows,
                                 uint32_t columns, const struct ss_weight *weight,
                                 const struct ss_weight *bias, float epsilon)
{
    SS_ASSERT((!weight || weight->columns == columns) && (!bias || bias->columns == columns));
    const struct norm norm = {.kernel = kernel,
                              .call = {.out = (float *)(uintptr_t)out,
                                       .in = (const float *)(uintptr_t)in,
                                       .rows = rows,
                                       .columns = columns,
                                       .weight = vector_of(weight),
                                       .bias = vector_of(bias),
                                       .epsilon = epsilon}};
    return ss_cpu_stream_run(stream, run_norm, &norm, sizeof norm);
}

enum ss_status ss_cpu_queue_layer_norm(struct ss_ops *ops, struct ss_stream *stream,
                                       ss_device_address out, ss_device_address in, uint32_t rows,
                                       uint32_t columns, const struct ss_weight *weight,
                                       const struct ss_weight *bias, float epsilon)
{
    return queue_norm(stream, cpu(ops)->kernels->layer_norm, out, in, rows, columns, weight, bias,
                      epsilon);
}

enum ss_status ss_cpu_queue_rms_norm(struct ss_ops *ops, struct ss_stream *stream,
                                     ss_device_address out, ss_device_address in, uint32_t rows,
                                     uint32_t columns, const struct ss_weight *weight,
                                     float epsilon)
{
    return queue_norm(stream, cpu(ops)->kernels->rms_norm, out, in, rows, columns, weight, 0,
                      epsilon);
}

struct add {
    float *out;
    const float *in;
    uint32_t rows, columns;
    struct ss_cpu_vector bias;
};

static enum ss_status run_add(void *arguments)
{
    const struct add *call = arguments;
    ss_cpu_add(call->out, call->in, call->rows, call->columns, &call->bias);
    return SS_OK;
}

enum ss_status ss_cpu_queue_add(struct ss_ops *ops, struct ss_stream *stream, ss_device_address out,
                                ss_device_address in, uint32_t rows, uint32_t columns,
                                const struct ss_weight *bias)
{
    (void)ops;
    SS_ASSERT(!bias || bias->columns == columns);
    const struct add call = {.out = (float *)(uintptr_t)out,
                             .in = (const float *)(uintptr_t)in,
                             .rows = rows,
                             .columns = columns,
                             .bias = vector_of(bias)};
    return ss_cpu_stream_run(stream, run_add, &call, sizeof call);
}

struct silu {
    const struct ss_cpu_kernels *kernels;
    float *out;
    const float *in;
    uint32_t rows, columns;
};

static enum ss_status run_silu(void *arguments)
{
    const struct silu *call = arguments;
    call->kernels->silu_multiply(call->out, call->in, call->rows, call->columns);
    return SS_OK;
}

enum ss_status ss_cpu_queue_silu_multiply(struct ss_ops *ops, struct ss_stream *stream,
                                          ss_device_address out, ss_device_address in,
                                          uint32_t rows, uint32_t columns)
{
    const struct silu call = {.kernels = cpu(ops)->kernels,
                              .out = (float *)(uintptr_t)out,
                              .in = (const float *)(uintptr_t)in,
                              .rows = rows,
                              .columns = columns};
    return ss_cpu_stream_run(stream, run_silu, &call, sizeof call);
}
