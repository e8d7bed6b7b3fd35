#include "pipeline/comm/nccl/peer_edges.h"

#include <cuda_runtime_api.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "pipeline/comm/nccl/carry.h"
#include "pipeline/link/agree.h"
#include "swap/device/cuda/cuda.h"

#define PLACES      4u
#define PLACE_BYTES ((size_t)4 << 20)

/* Words, each on a line of its own. The last two: the neighbour has let go of this memory. */
enum {
    FILLED = 0,
    EMPTIED = 128,
    SEND_COUNTER = 256,
    TAKE_COUNTER = 384,
    LEFT_BY_NEXT = 512,
    LEFT_BY_PREVIOUS = 640,
    WORDS_BYTES = 768
};
#define RING        4096u
#define BLOCK_BYTES (RING + PLACES * PLACE_BYTES)
/* How long a rank that leaves keeps its memory for neighbours that have not. */
#define LEAVE_NS (2 * SS_NS_PER_S)

struct ss_peer_edges {
    struct ss_device *device;
    ss_device_address mine, next, previous; /* this rank's memory and its neighbours' */
    bool next_opened, previous_opened;      /* through a handle, each its own */
    bool shared;                            /* all ranks have opened their neighbours' */
    uint64_t sent, taken;                   /* places queued so far */
    cudaStream_t alone;                     /* for what waits for nothing queued */
};

/* What a rank tells all others of its memory. */
struct offer {
    bool good;
    pid_t process;
    int gpu;
    ss_device_address address;
    struct ss_device_share share;
};

/* The stream waits for the word, so that no multiprocessor does; the kernel then finds it so. */
static enum ss_status carry(struct ss_peer_edges *edges, struct ss_stream *stream,
                            const struct ss_carry *carried, const char *call)
{
    enum ss_status status = SS_OK;
    if (carried->awaited_word)
        status = ss_cuda_await_word(stream, carried->awaited_word, carried->awaited);
    return status ? status
                  : ss_cuda_check(edges->device,
                                  ss_nccl_carry(ss_cuda_stream_native(stream), carried), call);
}

enum ss_status ss_peer_edges_send(struct ss_peer_edges *edges, struct ss_stream *stream,
                                  ss_device_address data, size_t bytes)
{
    enum ss_status status = SS_OK;
    for (size_t at = 0; at < bytes && !status; at += PLACE_BYTES) {
        uint64_t place = edges->sent++ % PLACES;
        const bool fits = edges->sent <= PLACES;
        const struct ss_carry carried = {
            .awaited_word = fits ? 0 : edges->mine + EMPTIED,
            .awaited = fits ? 0 : edges->sent - PLACES,
            .to = edges->next + RING + place * PLACE_BYTES,
            .from = data + at,
            .bytes = bytes - at < PLACE_BYTES ? bytes - at : PLACE_BYTES,
            .counter = edges->mine + SEND_COUNTER,
            .word = edges->next + FILLED,
            .value = edges->sent,
        };
        status = carry(edges, stream, &carried, "send to the next stage: kernel");
    }
    return status;
}

enum ss_status ss_peer_edges_receive(struct ss_peer_edges *edges, struct ss_stream *stream,
                                     ss_device_address data, size_t bytes)
{
    enum ss_status status = SS_OK;
    for (size_t at = 0; at < bytes && !status; at += PLACE_BYTES) {
        uint64_t place = edges->taken++ % PLACES;
        const struct ss_carry carried = {
            .awaited_word = edges->mine + FILLED,
            .awaited = edges->taken,
            .to = data + at,
            .from = edges->mine + RING + place * PLACE_BYTES,
            .bytes = bytes - at < PLACE_BYTES ? bytes - at : PLACE_BYTES,
            .counter = edges->mine + TAKE_COUNTER,
            .word = edges->previous + EMPTIED,
            .value = edges->taken,
        };
        status = carry(edges, stream, &carried, "receive from the previous stage: kernel");
    }
    return status;
}

void ss_peer_edges_let_go(struct ss_peer_edges *edges)
{
    void *filled = (void *)(uintptr_t)(edges->mine + FILLED);
    void *emptied = (void *)(uintptr_t)(edges->mine + EMPTIED);
    cudaSetDevice(ss_cuda_device_index(edges->device));
    /* More than was ever waited for. */
    cudaMemsetAsync(filled, 0x7f, sizeof(uint64_t), edges->alone);
    cudaMemsetAsync(emptied, 0x7f, sizeof(uint64_t), edges->alone);
}

/* A failure here is no failure of the device: there is another way. */
static bool worked(cudaError_t code)
{
    if (code != cudaSuccess)
        cudaGetLastError();
    return code == cudaSuccess;
}

/* Ranks that are threads of one process have each other's addresses; others open a share. Without a
 * way there is no failure: edges are NCCL's then. */
static bool open_one(struct ss_peer_edges *edges, const struct offer *offer, ss_device_address *out,
                     bool *opened)
{
    if (!offer->good)
        return false;
    if (offer->process == getpid()) {
        cudaError_t code = cudaDeviceEnablePeerAccess(offer->gpu, 0);
        *out = offer->address;
        return worked(code) || code == cudaErrorPeerAccessAlreadyEnabled;
    }
    *opened = edges->device->ops->share_open(edges->device, &offer->share, out) == SS_OK;
    return *opened;
}

static bool open_neighbours(struct ss_peer_edges *edges, struct ss_link *link,
                            const struct offer *offers, int next, int previous)
{
    if (!link->table->same_node(link, next) || !link->table->same_node(link, previous) ||
        !open_one(edges, &offers[next], &edges->next, &edges->next_opened))
        return false;
    edges->previous = edges->next;
    return next == previous ||
           open_one(edges, &offers[previous], &edges->previous, &edges->previous_opened);
}

static enum ss_status prepare(struct ss_peer_edges *edges)
{
    struct ss_device *device = edges->device;
    enum ss_status status = device->ops->alloc(device, BLOCK_BYTES, &edges->mine);
    if (!status)
        status = ss_cuda_begin(device, "edges");
    if (!status)
        status = ss_cuda_check(device, ss_nccl_carry_load(), "edges: cudaFuncGetAttributes");
    if (!status)
        status = ss_cuda_check(device,
                               (int)cudaStreamCreateWithFlags(&edges->alone, cudaStreamNonBlocking),
                               "edges: cudaStreamCreateWithFlags");
    /* As let_go() does it: the first one may load a kernel, which nothing may wait for then. */
    if (!status)
        status = ss_cuda_check(
            device,
            (int)cudaMemsetAsync((void *)(uintptr_t)edges->mine, 0, WORDS_BYTES, edges->alone),
            "edges: cudaMemsetAsync");
    return status ? status
                  : ss_cuda_check(device, (int)cudaStreamSynchronize(edges->alone),
                                  "edges: cudaStreamSynchronize");
}

/* Opens what the neighbours offer; false, on all ranks, where one of them cannot. */
static enum ss_status connect(struct ss_peer_edges *edges, struct ss_link *link, int tp, int pp,
                              struct offer *offers, bool *everybody)
{
    const struct ss_device_ops *ops = edges->device->ops;
    int next = (link->rank + tp) % (tp * pp), previous = (link->rank + tp * (pp - 1)) % (tp * pp);
    struct offer offer = {
        .process = getpid(), .gpu = ss_cuda_device_index(edges->device), .address = edges->mine};
    offer.good = ops->share(edges->device, edges->mine, &offer.share) == SS_OK;
    enum ss_status status = link->table->all_gather(link, &offer, sizeof offer, offers);
    if (status)
        return status;
    offer.good = open_neighbours(edges, link, offers, next, previous);
    status = link->table->all_gather(link, &offer, sizeof offer, offers);
    *everybody = true;
    for (int i = 0; i < link->ranks; i++)
        *everybody &= offers[i].good;
    return status;
}

enum ss_status ss_peer_edges_create(struct ss_link *link, struct ss_device *device, int tp, int pp,
                                    struct ss_peer_edges **out)
{
    struct ss_peer_edges *edges = 0;
    struct offer *offers = 0;
    enum ss_status status = ss_alloc(&offers, (size_t)link->ranks, sizeof *offers, "edges");
    if (!status)
        status = ss_alloc(&edges, 1, sizeof *edges, "edges");
    if (!status) {
        edges->device = device;
        status = prepare(edges);
    }
    status = ss_agree(link, status);
    if (!status) {
        SS_ASSERT(edges);
        status = connect(edges, link, tp, pp, offers, &edges->shared);
    }
    if (!status) {
        *out = edges->shared ? edges : 0;
        edges = edges->shared ? 0 : edges;
    }
    ss_peer_edges_destroy(edges);
    ss_free(offers);
    return status;
}

/* Until both neighbours have left too: what they queued last writes here. */
static void leave(struct ss_peer_edges *edges)
{
    uint64_t begin_ns = ss_now_ns(), words[WORDS_BYTES / sizeof(uint64_t)] = {0};
    const struct ss_carry told[] = {{.word = edges->next + LEFT_BY_PREVIOUS, .value = 1},
                                    {.word = edges->previous + LEFT_BY_NEXT, .value = 1}};
    bool good = worked((cudaError_t)ss_nccl_carry(edges->alone, &told[0])) &&
                worked((cudaError_t)ss_nccl_carry(edges->alone, &told[1]));
    while (good &&
           (!words[LEFT_BY_NEXT / sizeof *words] || !words[LEFT_BY_PREVIOUS / sizeof *words]) &&
           ss_now_ns() - begin_ns < LEAVE_NS) {
        good = worked(cudaMemcpyAsync(words, (void *)(uintptr_t)edges->mine, sizeof words,
                                      cudaMemcpyDeviceToHost, edges->alone)) &&
               worked(cudaStreamSynchronize(edges->alone));
        ss_sleep_until_ns(ss_now_ns() + SS_NS_PER_MS / 10);
    }
}

void ss_peer_edges_destroy(struct ss_peer_edges *edges)
{
    if (!edges)
        return;
    cudaSetDevice(ss_cuda_device_index(edges->device));
    if (edges->shared)
        leave(edges);
    if (edges->next_opened)
        edges->device->ops->share_close(edges->device, edges->next);
    if (edges->previous_opened)
        edges->device->ops->share_close(edges->device, edges->previous);
    if (edges->alone)
        cudaStreamDestroy(edges->alone);
    if (edges->mine)
        edges->device->ops->free(edges->device, edges->mine);
    ss_free(edges);
}
