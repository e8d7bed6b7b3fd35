/* Kernels for stream_waits.c. Each number is a function of its own, so that the first launch of one
 * is the first that the driver sees of it. */
#include <cuda_runtime.h>

template <int NUMBER> static __global__ void touch(unsigned *word)
{
    atomicAdd(word, NUMBER + 1);
}

extern "C" int probe_launch(void *stream, unsigned long long word, int number)
{
    cudaStream_t native = (cudaStream_t)stream;
    unsigned *target = (unsigned *)word;
    switch (number) {
    case 0:
        touch<0><<<1, 32, 0, native>>>(target);
        break;
    case 1:
        touch<1><<<1, 32, 0, native>>>(target);
        break;
    case 2:
        touch<2><<<1, 32, 0, native>>>(target);
        break;
    default:
        touch<3><<<1, 32, 0, native>>>(target);
        break;
    }
    return (int)cudaGetLastError();
}
