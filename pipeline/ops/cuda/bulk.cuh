/* Copies in bulk and the barriers that count their bytes (PTX ISA, "cp.async.bulk", "mbarrier");
 * compute capability 9.0 and later. */
#ifndef SS_PIPELINE_OPS_CUDA_BULK_CUH
#define SS_PIPELINE_OPS_CUDA_BULK_CUH

#include "pipeline/ops/cuda/mma.cuh"

#if __CUDA_ARCH__ >= 900

static __device__ inline void await(unsigned long long *barrier, unsigned parity)
{
    asm volatile("{\n"
                 ".reg .pred done;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
                 "@!done bra again;\n"
                 "}" ::"r"(shared_address(barrier)),
                 "r"(parity)
                 : "memory");
}

static __device__ inline void arrive(unsigned long long *barrier)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier))
                 : "memory");
}

static __device__ inline void expect(unsigned long long *barrier, unsigned bytes)
{
    asm volatile(
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
        "r"(bytes)
        : "memory");
}

/* Weights are read once a step: they should not drive out what is read again. */
static __device__ inline void copy_bulk(void *to, const void *from, unsigned bytes,
                                        unsigned long long *barrier)
{
    unsigned long long policy;
    asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint "
                 "[%0], [%1], %2, [%3], %4;" ::"r"(shared_address(to)),
                 "l"(from), "r"(bytes), "r"(shared_address(barrier)), "l"(policy)
                 : "memory");
}

#endif

#endif
