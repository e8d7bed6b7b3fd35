#include "engine/workload/arrivals.h"

#include "engine/base/memory.h"
#include "engine/workload/process.h"

/* The next arrival of each process that has one, as a binary heap. */
struct ss_arrivals {
    const struct ss_workload *workload;
    struct ss_process_stream *streams;
    struct ss_process *processes;
    uint32_t process_count;
    struct ss_arrival *heap;
    size_t heap_count;
    uint64_t given; /* arrivals, over all */
};

static bool before(const struct ss_arrival *a, const struct ss_arrival *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->process < b->process;
}

static void push(struct ss_arrivals *arrivals, const struct ss_arrival *arrival)
{
    struct ss_arrival *heap = arrivals->heap;
    size_t at = arrivals->heap_count++;
    while (at > 0 && before(arrival, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = *arrival;
}

/* Puts ARRIVAL in place of the first and restores the order. */
static void replace_first(struct ss_arrivals *arrivals, const struct ss_arrival *arrival)
{
    struct ss_arrival *heap = arrivals->heap;
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < arrivals->heap_count && before(&heap[child + 1], &heap[child]))
            child++;
        if (child >= arrivals->heap_count || !before(&heap[child], arrival))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = *arrival;
}

static bool is_over(const struct ss_arrivals *arrivals, uint64_t at_ns)
{
    const struct ss_workload *workload = arrivals->workload;
    return (workload->duration_ns > 0 && at_ns >= workload->duration_ns) ||
           (workload->requests > 0 && arrivals->given == workload->requests);
}

/* Each process's first arrival; a closed loop has one for each of its clients. */
static enum ss_status begin(struct ss_arrivals *arrivals, uint64_t seed)
{
    uint32_t number = 0;
    for (int stream = 0; stream < arrivals->workload->stream_count; stream++) {
        struct ss_process_stream *of = &arrivals->streams[stream];
        for (uint32_t i = 0; i < ss_process_stream_count(of); i++, number++) {
            struct ss_process *process = &arrivals->processes[number];
            struct ss_arrival arrival;
            ss_process_begin(of, i, number, seed, process);
            if (of->stream->kind == SS_ARRIVE_TURNS) {
                for (uint32_t client = 0; client < of->stream->clients; client++) {
                    ss_process_turn(process, of->stream->from_ns, &arrival);
                    push(arrivals, &arrival);
                }
                continue;
            }
            enum ss_status status = ss_process_next(process, &arrival);
            if (!status)
                push(arrivals, &arrival);
            else if (status != SS_EMPTY)
                return status;
        }
    }
    return SS_OK;
}

static enum ss_status open_streams(struct ss_arrivals *arrivals, const char *const *names,
                                   uint32_t name_count)
{
    const struct ss_workload *workload = arrivals->workload;
    size_t room = 0;
    enum ss_status status = ss_alloc(&arrivals->streams, (size_t)workload->stream_count,
                                     sizeof *arrivals->streams, "the streams of a workload");
    for (int i = 0; i < workload->stream_count && !status; i++) {
        struct ss_process_stream *of = &arrivals->streams[i];
        status = ss_process_stream_open(workload, i, names, name_count, of);
        if (status)
            break;
        arrivals->process_count += ss_process_stream_count(of);
        room += ss_process_stream_count(of) +
                (of->stream->kind == SS_ARRIVE_TURNS ? of->stream->clients : 0);
    }
    if (!status)
        status = ss_alloc(&arrivals->processes, arrivals->process_count,
                          sizeof *arrivals->processes, "the processes of a workload");
    if (!status)
        status = ss_alloc(&arrivals->heap, room, sizeof *arrivals->heap, "the next arrivals");
    return status;
}

enum ss_status ss_arrivals_create(const struct ss_workload *workload, const char *const *names,
                                  uint32_t name_count, uint64_t seed, struct ss_arrivals **out)
{
    struct ss_arrivals *arrivals;
    enum ss_status status = ss_alloc(&arrivals, 1, sizeof *arrivals, "the arrivals of a workload");
    if (status)
        return status;
    arrivals->workload = workload;
    status = open_streams(arrivals, names, name_count);
    if (!status)
        status = begin(arrivals, seed);
    if (status)
        ss_arrivals_destroy(arrivals);
    else
        *out = arrivals;
    return status;
}

void ss_arrivals_destroy(struct ss_arrivals *arrivals)
{
    if (!arrivals)
        return;
    for (int i = 0; arrivals->streams && i < arrivals->workload->stream_count; i++)
        ss_process_stream_close(&arrivals->streams[i]);
    ss_free(arrivals->streams);
    ss_free(arrivals->processes);
    ss_free(arrivals->heap);
    ss_free(arrivals);
}

bool ss_arrivals_peek(const struct ss_arrivals *arrivals, uint64_t *at_ns)
{
    if (arrivals->heap_count == 0 || is_over(arrivals, arrivals->heap[0].at_ns))
        return false;
    *at_ns = arrivals->heap[0].at_ns;
    return true;
}

enum ss_status ss_arrivals_next(struct ss_arrivals *arrivals, struct ss_arrival *out)
{
    uint64_t at_ns;
    if (!ss_arrivals_peek(arrivals, &at_ns))
        return SS_EMPTY;
    struct ss_arrival first = arrivals->heap[0], next;
    struct ss_process *process = &arrivals->processes[first.process];
    enum ss_status status = SS_EMPTY;
    if (process->of->stream->kind != SS_ARRIVE_TURNS)
        status = ss_process_next(process, &next);
    if (status == SS_EMPTY)
        next = arrivals->heap[--arrivals->heap_count];
    else if (status)
        return status;
    replace_first(arrivals, &next);
    arrivals->given++;
    *out = first;
    return SS_OK;
}

/* At most CLIENTS of a closed loop are in the heap: each was taken before it is answered. */
void ss_arrivals_answered(struct ss_arrivals *arrivals, uint32_t process, uint64_t now_ns,
                          bool refused)
{
    struct ss_process *of = &arrivals->processes[process];
    const struct ss_arrival_stream *stream = of->of->stream;
    struct ss_arrival arrival;
    uint64_t pause_ns =
        refused && stream->think_ns < SS_REFUSED_PAUSE_NS ? SS_REFUSED_PAUSE_NS : stream->think_ns;
    if (stream->kind != SS_ARRIVE_TURNS || now_ns + pause_ns >= stream->until_ns)
        return;
    ss_process_turn(of, now_ns + pause_ns, &arrival);
    push(arrivals, &arrival);
}
