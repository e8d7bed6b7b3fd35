/* Launches that begin while the kernel before them ends (programmatic dependent launch, CUDA
 * Programming Guide): what a kernel needs of no other kernel, weights above all, it may fetch
 * ahead. A kernel launched so calls await_earlier() before it touches anything else. */
#ifndef SS_PIPELINE_OPS_CUDA_LAUNCH_CUH
#define SS_PIPELINE_OPS_CUDA_LAUNCH_CUH

#include <cuda_runtime.h>

/* Until all work queued before this kernel is done and seen. */
static __device__ inline void await_earlier(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* The next kernel's blocks may take the room that this one leaves. */
static __device__ inline void let_next_begin(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}

template <typename... Parameters, typename... Arguments>
static inline void launch_early(void (*kernel)(Parameters...), dim3 grid, unsigned threads,
                                size_t shared_bytes, cudaStream_t stream, Arguments... arguments)
{
    cudaLaunchAttribute early = {};
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    config.attrs = &early;
    config.numAttrs = 1;
    /* A failure is the last error, which the caller asks for. */
    (void)cudaLaunchKernelEx(&config, kernel, (Parameters)arguments...);
}

#endif
