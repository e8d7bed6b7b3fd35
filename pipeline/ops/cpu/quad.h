/* Four fp32 values, in the compiler's own vectors: the same on every instruction set. */
#ifndef SS_PIPELINE_OPS_CPU_QUAD_H
#define SS_PIPELINE_OPS_CPU_QUAD_H

#include <stdint.h>

typedef float quad __attribute__((vector_size(16)));
typedef int32_t quad_mask __attribute__((vector_size(16)));

/* Zero where below zero; what is no number stays. */
static inline quad quad_relu(quad v)
{
    quad_mask below = v < 0;
    return (quad)((quad_mask)v & ~below);
}

#endif
