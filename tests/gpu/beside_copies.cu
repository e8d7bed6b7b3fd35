/* What copies to the device cost kernels beside them, with no code of ours in between: a kernel
 * that reads device memory in one long launch, and steps of many short launches, one by one and as
 * a graph, alone and beside copies of several sizes. Prints JSON.
 *
 *     beside_copies */
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cuda_runtime.h>
#include <thread>
#include <vector>

#define CHECK(call)                                                             \
    do {                                                                        \
        cudaError_t code_ = (call);                                             \
        if (code_ != cudaSuccess) {                                             \
            std::fprintf(stderr, "%s: %s\n", #call, cudaGetErrorString(code_)); \
            std::exit(EXIT_FAILURE);                                            \
        }                                                                       \
    } while (0)

static const size_t READ_BYTES = (size_t)8 << 30, HOST_BYTES = (size_t)512 << 20;
static const int THREADS = 512, LAUNCHES = 256, REPEATS = 24;

static __global__ void read(const uint4 *from, size_t count, uint4 *out)
{
    uint4 sum = {0, 0, 0, 0};
#pragma unroll 4
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < count;
         i += (size_t)gridDim.x * THREADS) {
        uint4 v = __ldcs(from + i);
        sum.x ^= v.x;
        sum.y ^= v.y;
        sum.z ^= v.z;
        sum.w ^= v.w;
    }
    if (sum.x == 0x12345678 && sum.y == 0x9abcdef0)
        *out = sum;
}

struct memory {
    unsigned char *read, *written, *host;
    cudaStream_t stream;
};

/* Copies without end, IN_FLIGHT pieces at a time, with a pause of NAP_US after each. */
struct copier {
    const memory &m;
    size_t piece;
    int in_flight, nap_us;
    std::atomic<bool> stop{false};
    double rate = 0;

    void run()
    {
        cudaStream_t stream;
        std::vector<cudaEvent_t> events((size_t)in_flight);
        size_t done = 0, at = 0;
        CHECK(cudaSetDevice(0));
        CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
        for (auto &event : events)
            CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
        auto begin = std::chrono::steady_clock::now();
        for (size_t i = 0; !stop; i++) {
            cudaEvent_t event = events[i % events.size()];
            while (cudaEventQuery(event) == cudaErrorNotReady)
                ;
            if (nap_us) {
                auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(nap_us);
                while (std::chrono::steady_clock::now() < until)
                    ;
            }
            CHECK(cudaMemcpyAsync(m.written + at, m.host + at, piece, cudaMemcpyHostToDevice,
                                  stream));
            CHECK(cudaEventRecord(event, stream));
            done += piece;
            at = (at + piece) % HOST_BYTES;
        }
        CHECK(cudaStreamSynchronize(stream));
        rate = (double)done /
               std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }
};

static void launch_long(const memory &m)
{
    read<<<132 * 4, THREADS, 0, m.stream>>>((const uint4 *)m.read, READ_BYTES / 16,
                                            (uint4 *)m.written);
}

static void launch_short(const memory &m, size_t bytes)
{
    for (int i = 0; i < LAUNCHES; i++)
        read<<<132 * 4, THREADS, 0, m.stream>>>(
            (const uint4 *)(m.read + (size_t)i * bytes % READ_BYTES), bytes / 16,
            (uint4 *)m.written);
}

/* Median milliseconds of what LAUNCH queues. */
template <typename Launch> static double time_of(const memory &m, Launch launch)
{
    std::vector<float> times;
    cudaEvent_t begin, end;
    CHECK(cudaEventCreate(&begin));
    CHECK(cudaEventCreate(&end));
    for (int i = 0; i < REPEATS; i++) {
        float ms = 0;
        CHECK(cudaEventRecord(begin, m.stream));
        launch();
        CHECK(cudaEventRecord(end, m.stream));
        CHECK(cudaEventSynchronize(end));
        CHECK(cudaEventElapsedTime(&ms, begin, end));
        times.push_back(ms);
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
}

static cudaGraphExec_t graph_of(const memory &m, size_t bytes)
{
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    CHECK(cudaStreamBeginCapture(m.stream, cudaStreamCaptureModeThreadLocal));
    launch_short(m, bytes);
    CHECK(cudaStreamEndCapture(m.stream, &graph));
    CHECK(cudaGraphInstantiate(&executable, graph, 0));
    CHECK(cudaGraphUpload(executable, m.stream));
    return executable;
}

struct row {
    const char *what;
    double alone;
};

template <typename Launch>
static void measure(const memory &m, const char *what, bool last, Launch launch)
{
    static const struct {
        size_t piece;
        int in_flight, nap_us;
    } cases[] = {{(size_t)16 << 20, 2, 0},
                 {(size_t)2 << 20, 2, 0},
                 {(size_t)2 << 20, 1, 40},
                 {(size_t)512 << 10, 2, 0}};
    time_of(m, launch);
    double alone = time_of(m, launch);
    std::printf("{\"what\": \"%s\", \"alone_ms\": %.4f, \"beside\": [", what, alone);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        copier copies{m, cases[i].piece, cases[i].in_flight, cases[i].nap_us};
        std::thread thread([&] { copies.run(); });
        time_of(m, launch);
        double beside = time_of(m, launch);
        copies.stop = true;
        thread.join();
        std::printf("%s{\"piece\": %zu, \"in_flight\": %d, \"nap_us\": %d, \"ms\": %.4f, "
                    "\"change\": %.4f, \"copies_gb_per_s\": %.1f}",
                    i ? ", " : "", cases[i].piece, cases[i].in_flight, cases[i].nap_us, beside,
                    beside / alone - 1, copies.rate / 1e9);
    }
    std::printf("]}%s\n", last ? "" : ",");
    std::fflush(stdout);
}

int main()
{
    memory m;
    CHECK(cudaMalloc(&m.read, READ_BYTES));
    CHECK(cudaMalloc(&m.written, HOST_BYTES));
    CHECK(cudaMallocHost(&m.host, HOST_BYTES));
    CHECK(cudaMemset(m.read, 1, READ_BYTES));
    CHECK(cudaStreamCreateWithFlags(&m.stream, cudaStreamNonBlocking));
    std::printf("[\n");
    measure(m, "one launch of 8 GiB", false, [&] { launch_long(m); });
    for (size_t bytes : {(size_t)1 << 20, (size_t)32 << 20}) {
        char what[64];
        cudaGraphExec_t graph = graph_of(m, bytes);
        std::snprintf(what, sizeof what, "256 launches of %zu MiB, one by one", bytes >> 20);
        measure(m, what, false, [&] { launch_short(m, bytes); });
        std::snprintf(what, sizeof what, "256 launches of %zu MiB, a graph", bytes >> 20);
        measure(m, what, bytes > 1 << 20, [&] { CHECK(cudaGraphLaunch(graph, m.stream)); });
    }
    std::printf("]\n");
    return EXIT_SUCCESS;
}
