/* The blocks that linear cuts a product into, and the memory they need. */
#ifndef SS_PIPELINE_OPS_CPU_SCRATCH_H
#define SS_PIPELINE_OPS_CPU_SCRATCH_H

#include "pipeline/ops/cpu/kernels.h"

/* Chosen for 32 KiB of first-level cache (a row tile's inputs) and 1 MiB of second-level (a block
 * of weights, the inputs of a block of rows, and their accumulators). They change no bit of a
 * result.
 */
enum {
    SS_LINEAR_ROWS = 96,    /* of the input, a multiple of every row tile */
    SS_LINEAR_COLUMNS = 64, /* rows of the weight */
    SS_LINEAR_DEPTH = 512,  /* elements of k, a multiple of 16 */
};

struct ss_cpu_scratch {
    void *memory;        /* owned; the pointers below are aligned to 64 bytes in it */
    float *weights;      /* [SS_LINEAR_COLUMNS][SS_LINEAR_DEPTH], packed as fp32 */
    float *accumulators; /* [SS_LINEAR_ROWS][SS_LINEAR_COLUMNS][16] */
};

#endif
