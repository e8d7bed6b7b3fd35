#include "pipeline/ops/cpu/scratch.h"

#include "engine/base/memory.h"

#define ALIGN 64

enum ss_status ss_cpu_scratch_create(struct ss_cpu_scratch **out)
{
    size_t weights = (size_t)SS_LINEAR_COLUMNS * SS_LINEAR_DEPTH;
    size_t accumulators = (size_t)SS_LINEAR_ROWS * SS_LINEAR_COLUMNS * 16;
    struct ss_cpu_scratch *scratch;
    enum ss_status status = ss_alloc(&scratch, 1, sizeof *scratch, "the product's scratch");
    if (status)
        return status;
    status = ss_alloc(&scratch->memory, (weights + accumulators) * sizeof(float) + ALIGN, 1,
                      "the product's scratch");
    if (status) {
        ss_free(scratch);
        return status;
    }
    scratch->weights =
        (float *)(((uintptr_t)scratch->memory + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
    scratch->accumulators = scratch->weights + weights;
    *out = scratch;
    return SS_OK;
}

void ss_cpu_scratch_destroy(struct ss_cpu_scratch *scratch)
{
    if (!scratch)
        return;
    ss_free(scratch->memory);
    ss_free(scratch);
}
