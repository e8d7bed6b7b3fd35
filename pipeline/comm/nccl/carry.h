/* Copies between GPUs that tell when they are done; C and CUDA C++ include it, the latter as extern
 * "C". */
#ifndef SS_PIPELINE_COMM_NCCL_CARRY_H
#define SS_PIPELINE_COMM_NCCL_CARRY_H

#include <stddef.h>
#include <stdint.h>

/* One copy by the compute units; of no bytes, a word alone. Addresses are of this GPU's memory or a
 * peer's. */
struct ss_carry {
    uint64_t to, from;
    size_t bytes;
    /* 64 bits of this GPU's memory: at least so much before anything is read or written; 0: no
     * word. What was told to it is acquired here, in the terms of PTX's memory model, whatever the
     * stream waited for before. */
    uint64_t awaited_word, awaited;
    uint64_t counter; /* 32 bits, zero between the copies that use it, one at a time */
    uint64_t word;    /* 64 bits: VALUE, once all bytes are where a GPU that reads it sees them */
    uint64_t value;
};

/* Queues CARRY on STREAM, a cudaStream_t; returns a cudaError_t. */
int ss_nccl_carry(void *stream, const struct ss_carry *carry);

/* Loads the kernel, as its first launch would. */
int ss_nccl_carry_load(void);

#endif
