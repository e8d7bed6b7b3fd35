#include "swap/transfer_queue.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/memory.h"

struct load {
    bool used, cancelled;
    uint64_t number;
    int count;     /* chunks */
    int chunk;     /* of the next piece */
    size_t offset; /* of the next piece, in its chunk */
    int arrived;   /* chunks whose last piece is complete */
    int under_way; /* pieces */
    struct ss_transfer_chunk *chunks;
};

struct lane {
    int *slots; /* loads in the order that they go */
    int count;
};

struct ss_transfer_queue {
    size_t piece_bytes;
    int loads_max, chunks_max;
    uint64_t number; /* of the latest load */
    struct load *loads;
    struct lane lanes[SS_LANES];
};

enum ss_status ss_transfer_queue_create(size_t piece_bytes, int loads_max, int chunks_max,
                                        struct ss_transfer_queue **out)
{
    struct ss_transfer_queue *queue;
    if (piece_bytes == 0 || loads_max < 1 || chunks_max < 1)
        return ss_fail(
            SS_INVALID,
            "transfer: pieces of %zu bytes, %d loads of %d chunks: each must be positive",
            piece_bytes, loads_max, chunks_max);
    enum ss_status status = ss_alloc(&queue, 1, sizeof *queue, "transfer queue");
    if (status)
        return status;
    queue->piece_bytes = piece_bytes;
    queue->loads_max = loads_max;
    queue->chunks_max = chunks_max;
    size_t loads = (size_t)loads_max;
    status = ss_alloc(&queue->loads, loads, sizeof *queue->loads, "loads");
    for (int i = 0; i < SS_LANES && !status; i++)
        status = ss_alloc(&queue->lanes[i].slots, loads, sizeof(int), "lane");
    for (size_t i = 0; i < loads && !status; i++)
        status = ss_alloc(&queue->loads[i].chunks, (size_t)chunks_max,
                          sizeof(struct ss_transfer_chunk), "chunks of a load");
    if (status) {
        ss_transfer_queue_destroy(queue);
        return status;
    }
    *out = queue;
    return SS_OK;
}

void ss_transfer_queue_destroy(struct ss_transfer_queue *queue)
{
    for (int i = 0; i < queue->loads_max && queue->loads; i++)
        ss_free(queue->loads[i].chunks);
    for (int i = 0; i < SS_LANES; i++)
        ss_free(queue->lanes[i].slots);
    ss_free(queue->loads);
    ss_free(queue);
}

static void append(struct lane *lane, int slot)
{
    lane->slots[lane->count++] = slot;
}

static bool remove_from(struct lane *lane, int slot)
{
    for (int i = 0; i < lane->count; i++) {
        if (lane->slots[i] != slot)
            continue;
        lane->count--;
        memmove(&lane->slots[i], &lane->slots[i + 1], (size_t)(lane->count - i) * sizeof(int));
        return true;
    }
    return false;
}

static int find(const struct ss_transfer_queue *queue, uint64_t number)
{
    for (int i = 0; i < queue->loads_max; i++)
        if (queue->loads[i].used && queue->loads[i].number == number)
            return i;
    return -1;
}

enum ss_status ss_transfer_queue_add(struct ss_transfer_queue *queue, uint64_t number,
                                     enum ss_lane lane, const struct ss_transfer_chunk *chunks,
                                     int count)
{
    int slot = 0;
    if (number <= queue->number)
        return ss_fail(SS_INVALID, "transfer: load %llu after load %llu: numbers must rise",
                       (unsigned long long)number, (unsigned long long)queue->number);
    if (count < 0 || count > queue->chunks_max)
        return ss_fail(SS_INVALID, "transfer: load %llu has %d chunks, at most %d are possible",
                       (unsigned long long)number, count, queue->chunks_max);
    while (slot < queue->loads_max && queue->loads[slot].used)
        slot++;
    if (slot == queue->loads_max)
        return ss_fail(SS_FULL, "transfer: load %llu: %d loads are outstanding, the most possible",
                       (unsigned long long)number, queue->loads_max);
    struct load *load = &queue->loads[slot];
    *load = (struct load){.used = true, .number = number, .count = count, .chunks = load->chunks};
    if (count)
        memcpy(load->chunks, chunks, (size_t)count * sizeof *chunks);
    queue->number = number;
    append(&queue->lanes[lane], slot);
    return SS_OK;
}

void ss_transfer_queue_promote(struct ss_transfer_queue *queue, uint64_t number)
{
    int slot = find(queue, number);
    if (slot >= 0 && remove_from(&queue->lanes[SS_LANE_PREFETCH], slot))
        append(&queue->lanes[SS_LANE_DEMAND], slot);
}

void ss_transfer_queue_cancel(struct ss_transfer_queue *queue, uint64_t number)
{
    int slot = find(queue, number);
    if (slot >= 0)
        queue->loads[slot].cancelled = true;
}

void ss_transfer_queue_cancel_all(struct ss_transfer_queue *queue)
{
    for (int i = 0; i < queue->loads_max; i++)
        queue->loads[i].cancelled = true;
}

static void cut(const struct ss_transfer_queue *queue, int slot, struct ss_transfer_piece *piece)
{
    struct load *load = &queue->loads[slot];
    const struct ss_transfer_chunk *chunk = &load->chunks[load->chunk];
    size_t left = chunk->bytes - load->offset;
    size_t bytes = left < queue->piece_bytes ? left : queue->piece_bytes;
    *piece = (struct ss_transfer_piece){
        .slot = slot,
        .number = load->number,
        .chunk = load->chunk,
        .from = (const char *)chunk->from + load->offset,
        .to = chunk->to + load->offset,
        .bytes = bytes,
        .last = bytes == left,
        .ready = chunk->ready,
    };
    load->under_way++;
    load->offset += bytes;
    if (piece->last) {
        load->chunk++;
        load->offset = 0;
    }
}

enum ss_transfer_choice ss_transfer_queue_next(struct ss_transfer_queue *queue,
                                               ss_transfer_is_free *is_free, void *user,
                                               struct ss_transfer_piece *piece,
                                               const struct ss_transfer_chunk **blocked)
{
    const struct ss_transfer_chunk *first = 0;
    for (int lane = 0; lane < SS_LANES; lane++) {
        for (int i = 0; i < queue->lanes[lane].count; i++) {
            int slot = queue->lanes[lane].slots[i];
            const struct load *load = &queue->loads[slot];
            if (load->cancelled || load->chunk == load->count)
                continue;
            const struct ss_transfer_chunk *chunk = &load->chunks[load->chunk];
            if (load->offset > 0 || is_free(user, chunk)) {
                cut(queue, slot, piece);
                return SS_TRANSFER_PIECE;
            }
            if (!first)
                first = chunk;
        }
    }
    if (!first)
        return SS_TRANSFER_IDLE;
    *blocked = first;
    return SS_TRANSFER_BLOCKED;
}

int ss_transfer_queue_complete(struct ss_transfer_queue *queue,
                               const struct ss_transfer_piece *piece)
{
    struct load *load = &queue->loads[piece->slot];
    SS_ASSERT(load->used && load->number == piece->number && load->under_way > 0);
    load->under_way--;
    if (!piece->last)
        return 0;
    SS_ASSERT(piece->chunk == load->arrived);
    return ++load->arrived;
}

bool ss_transfer_queue_take_ended(struct ss_transfer_queue *queue, uint64_t *number, int *count,
                                  enum ss_status *status)
{
    for (int i = 0; i < queue->loads_max; i++) {
        struct load *load = &queue->loads[i];
        bool whole = load->arrived == load->count;
        if (!load->used || load->under_way > 0 || !(whole || load->cancelled))
            continue;
        load->used = false;
        if (!remove_from(&queue->lanes[SS_LANE_DEMAND], i))
            (void)remove_from(&queue->lanes[SS_LANE_PREFETCH], i);
        *number = load->number;
        *count = load->arrived;
        *status = whole ? SS_OK : SS_CANCELLED;
        return true;
    }
    return false;
}
