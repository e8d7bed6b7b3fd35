/* Recordings: CUDA graphs captured from a stream. */
#include "engine/base/memory.h"
#include "swap/device/cuda/internal.h"

struct ss_recording {
    cudaGraphExec_t executable;
};

bool ss_cuda_stream_is_recording(const struct ss_stream *stream)
{
    return ((const struct cuda_stream *)stream)->recording;
}

enum ss_status ss_cuda_record_begin(struct ss_stream *base)
{
    struct cuda_stream *stream = (struct cuda_stream *)base;
    enum ss_status status = ss_cuda_begin(base->device, "record_begin");
    /* Other threads go on: the transfer thread copies meanwhile. */
    if (!status)
        status = ss_cuda_check(
            base->device,
            (int)cudaStreamBeginCapture(stream->native, cudaStreamCaptureModeThreadLocal),
            "record_begin: cudaStreamBeginCapture");
    stream->recording = !status;
    return status;
}

void ss_cuda_record_abort(struct ss_stream *base)
{
    struct cuda_stream *stream = (struct cuda_stream *)base;
    cudaGraph_t graph = 0;
    stream->recording = false;
    if (cudaStreamEndCapture(stream->native, &graph) == cudaSuccess && graph)
        cudaGraphDestroy(graph);
    cudaGetLastError();
}

/* Launches under way keep what they were launched with. */
static enum ss_status update(struct ss_device *device, cudaGraph_t graph,
                             struct ss_recording *recording)
{
    cudaGraphExecUpdateResultInfo info;
    if (recording->executable &&
        cudaGraphExecUpdate(recording->executable, graph, &info) == cudaSuccess)
        return SS_OK;
    cudaGetLastError(); /* its shape is another: made anew */
    if (recording->executable)
        cudaGraphExecDestroy(recording->executable);
    recording->executable = 0;
    cudaError_t code = cudaGraphInstantiate(&recording->executable, graph, 0);
    return code == cudaErrorMemoryAllocation
               ? ss_cuda_try(device, (int)code, "record_end: cudaGraphInstantiate")
               : ss_cuda_check(device, (int)code, "record_end: cudaGraphInstantiate");
}

enum ss_status ss_cuda_record_end(struct ss_stream *base, struct ss_recording **recording)
{
    struct cuda_stream *stream = (struct cuda_stream *)base;
    struct ss_recording *made = *recording;
    cudaGraph_t graph = 0;
    stream->recording = false;
    enum ss_status status =
        ss_cuda_check(base->device, (int)cudaStreamEndCapture(stream->native, &graph),
                      "record_end: cudaStreamEndCapture");
    if (!status && !made)
        status = ss_alloc(&made, 1, sizeof *made, "recording");
    if (!status)
        status = update(base->device, graph, made);
    if (graph)
        cudaGraphDestroy(graph);
    if (status && made)
        ss_cuda_recording_destroy(base->device, made);
    *recording = status ? 0 : made;
    return status;
}

enum ss_status ss_cuda_play(struct ss_stream *stream, const struct ss_recording *recording)
{
    enum ss_status status = ss_cuda_begin(stream->device, "play");
    return status ? status
                  : ss_cuda_check(
                        stream->device,
                        (int)cudaGraphLaunch(recording->executable, ss_cuda_stream_native(stream)),
                        "play: cudaGraphLaunch");
}

void ss_cuda_recording_destroy(struct ss_device *device, struct ss_recording *recording)
{
    ss_cuda_use(ss_cuda_device_of(device));
    if (recording->executable)
        cudaGraphExecDestroy(recording->executable);
    ss_free(recording);
}
