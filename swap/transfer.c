#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/thread.h"
#include "swap/transfer_queue.h"

/* While nothing moves and every load is blocked, the thread sleeps on the timeline that blocks the
 * first of them, and looks at the others and at new loads this often. */
#define BLOCKED_SLICE_NS (500 * SS_NS_PER_US)
/* How often a wait for a piece ends to look at the device's health. */
#define PIECE_SLICE_NS (1 * SS_NS_PER_S)

struct ss_transfer {
    struct ss_device *device;
    struct ss_transfer_options options;
    struct ss_stream *stream;
    struct ss_timeline *progress; /* counts pieces on the device */
    pthread_t thread;
    pthread_mutex_t lock; /* of the queue and what follows */
    pthread_cond_t changed;
    struct ss_transfer_queue *queue;
    bool closing;
    enum ss_status failure; /* of the device, as the thread met it; no more pieces go then */
    char message[SS_MESSAGE_BYTES];

    /* The thread's own: piece n (from 1) under way is at (n - 1) % pieces_in_flight. */
    struct ss_transfer_piece *under_way;
    uint64_t issued, completed;
};

static bool is_free(void *user, const struct ss_transfer_chunk *chunk)
{
    const struct ss_transfer *transfer = user;
    return !chunk->free_after ||
           transfer->device->ops->timeline_value(chunk->free_after) >= chunk->free_value;
}

/* The rest of the thread's functions are called with the lock held; they let go of it to call out.
 */
static void fail(struct ss_transfer *transfer, enum ss_status status)
{
    transfer->failure = status;
    snprintf(transfer->message, sizeof transfer->message, "%s", ss_status_message());
    ss_transfer_queue_cancel_all(transfer->queue);
    while (transfer->completed < transfer->issued) {
        struct ss_transfer_piece *piece =
            &transfer
                 ->under_way[transfer->completed % (uint64_t)transfer->options.pieces_in_flight];
        /* It may not have arrived, so it must not complete its chunk. */
        piece->last = false;
        (void)ss_transfer_queue_complete(transfer->queue, piece);
        transfer->completed++;
    }
}

static void report_ended(struct ss_transfer *transfer)
{
    uint64_t number;
    int count;
    enum ss_status status;
    while (ss_transfer_queue_take_ended(transfer->queue, &number, &count, &status)) {
        if (status && transfer->failure)
            status = ss_fail(transfer->failure, "%s", transfer->message);
        pthread_mutex_unlock(&transfer->lock);
        transfer->options.ended(transfer->options.user, number, count, status);
        pthread_mutex_lock(&transfer->lock);
    }
}

static enum ss_status queue_piece(struct ss_transfer *transfer,
                                  const struct ss_transfer_piece *piece, uint64_t sequence)
{
    const struct ss_device_ops *ops = transfer->device->ops;
    enum ss_status status = SS_OK;
    if (piece->bytes)
        status = ops->copy_to_device(transfer->stream, piece->to, piece->from, piece->bytes);
    if (!status && piece->last)
        status = ops->signal(transfer->stream, piece->ready, piece->number);
    if (!status)
        status = ops->signal(transfer->stream, transfer->progress, sequence);
    return status;
}

/* Hands the next piece to the link, if there is room and one may go. */
static enum ss_transfer_choice issue(struct ss_transfer *transfer,
                                     const struct ss_transfer_chunk **blocked)
{
    struct ss_transfer_piece piece;
    enum ss_transfer_choice choice =
        ss_transfer_queue_next(transfer->queue, is_free, transfer, &piece, blocked);
    if (choice != SS_TRANSFER_PIECE)
        return choice;
    uint64_t sequence = ++transfer->issued;
    transfer->under_way[(sequence - 1) % (uint64_t)transfer->options.pieces_in_flight] = piece;
    pthread_mutex_unlock(&transfer->lock);
    enum ss_status status = queue_piece(transfer, &piece, sequence);
    pthread_mutex_lock(&transfer->lock);
    if (status)
        fail(transfer, status);
    return choice;
}

static void complete(struct ss_transfer *transfer)
{
    const struct ss_device_ops *ops = transfer->device->ops;
    pthread_mutex_unlock(&transfer->lock);
    enum ss_status status =
        ops->timeline_wait(transfer->progress, transfer->completed + 1, PIECE_SLICE_NS);
    if (!status || status == SS_TIMEOUT) {
        /* A failed device may signal too: what it says counts only if it is well after. */
        status = ops->health(transfer->device);
    }
    uint64_t value = ops->timeline_value(transfer->progress);
    uint64_t now_ns = ss_now_ns();
    pthread_mutex_lock(&transfer->lock);
    if (status) {
        fail(transfer, status);
        return;
    }
    while (transfer->completed < value) {
        struct ss_transfer_piece piece =
            transfer->under_way[transfer->completed % (uint64_t)transfer->options.pieces_in_flight];
        int count = ss_transfer_queue_complete(transfer->queue, &piece);
        transfer->completed++;
        if (count == 0)
            continue;
        pthread_mutex_unlock(&transfer->lock);
        transfer->options.arrived(transfer->options.user, piece.number, count, now_ns);
        pthread_mutex_lock(&transfer->lock);
    }
}

static void wait_blocked(struct ss_transfer *transfer, const struct ss_transfer_chunk *blocked)
{
    struct ss_timeline *timeline = blocked->free_after;
    uint64_t value = blocked->free_value;
    pthread_mutex_unlock(&transfer->lock);
    enum ss_status status = transfer->device->ops->timeline_wait(timeline, value, BLOCKED_SLICE_NS);
    pthread_mutex_lock(&transfer->lock);
    if (status && status != SS_TIMEOUT)
        fail(transfer, status);
}

static void *move_pieces(void *argument)
{
    struct ss_transfer *transfer = argument;
    uint64_t room = (uint64_t)transfer->options.pieces_in_flight;
    pthread_mutex_lock(&transfer->lock);
    for (;;) {
        enum ss_transfer_choice choice = SS_TRANSFER_IDLE;
        const struct ss_transfer_chunk *blocked = 0;
        report_ended(transfer);
        if (transfer->issued - transfer->completed < room)
            choice = issue(transfer, &blocked);
        if (choice == SS_TRANSFER_PIECE)
            continue;
        if (transfer->completed < transfer->issued)
            complete(transfer);
        else if (choice == SS_TRANSFER_BLOCKED)
            wait_blocked(transfer, blocked);
        else if (transfer->closing)
            break;
        else
            pthread_cond_wait(&transfer->changed, &transfer->lock);
    }
    pthread_mutex_unlock(&transfer->lock);
    return 0;
}

static void release(struct ss_transfer *transfer)
{
    const struct ss_device_ops *ops = transfer->device->ops;
    if (transfer->stream)
        ops->stream_destroy(transfer->stream);
    if (transfer->progress)
        ops->timeline_destroy(transfer->progress);
    if (transfer->queue)
        ss_transfer_queue_destroy(transfer->queue);
    pthread_cond_destroy(&transfer->changed);
    pthread_mutex_destroy(&transfer->lock);
    ss_free(transfer->under_way);
    ss_free(transfer);
}

enum ss_status ss_transfer_create(struct ss_device *device,
                                  const struct ss_transfer_options *options,
                                  struct ss_transfer **out)
{
    struct ss_transfer *transfer;
    if (options->pieces_in_flight < 1)
        return ss_fail(SS_INVALID, "transfer: %d pieces in flight, at least 1 is needed",
                       options->pieces_in_flight);
    enum ss_status status = ss_alloc(&transfer, 1, sizeof *transfer, "transfer");
    if (status)
        return status;
    transfer->device = device;
    transfer->options = *options;
    pthread_mutex_init(&transfer->lock, 0);
    pthread_cond_init(&transfer->changed, 0);
    status = ss_alloc(&transfer->under_way, (size_t)options->pieces_in_flight,
                      sizeof *transfer->under_way, "pieces in flight");
    if (!status)
        status = ss_transfer_queue_create(options->piece_bytes, options->loads_max,
                                          options->chunks_max, &transfer->queue);
    if (!status)
        status = device->ops->timeline_create(device, &transfer->progress);
    if (!status)
        status = device->ops->stream_create(device, SS_STREAM_LOAD, &transfer->stream);
    if (!status)
        status = ss_thread_start(&transfer->thread, "ss-transfer", move_pieces, transfer);
    if (status) {
        release(transfer);
        return status;
    }
    *out = transfer;
    return SS_OK;
}

void ss_transfer_destroy(struct ss_transfer *transfer)
{
    pthread_mutex_lock(&transfer->lock);
    transfer->closing = true;
    ss_transfer_queue_cancel_all(transfer->queue);
    pthread_cond_signal(&transfer->changed);
    pthread_mutex_unlock(&transfer->lock);
    pthread_join(transfer->thread, 0);
    release(transfer);
}

enum ss_status ss_transfer_load(struct ss_transfer *transfer, uint64_t number, enum ss_lane lane,
                                const struct ss_transfer_chunk *chunks, int count)
{
    enum ss_status status;
    pthread_mutex_lock(&transfer->lock);
    if (transfer->failure)
        status = ss_fail(transfer->failure, "%s", transfer->message);
    else
        status = ss_transfer_queue_add(transfer->queue, number, lane, chunks, count);
    pthread_cond_signal(&transfer->changed);
    pthread_mutex_unlock(&transfer->lock);
    return status;
}

void ss_transfer_promote(struct ss_transfer *transfer, uint64_t number)
{
    pthread_mutex_lock(&transfer->lock);
    ss_transfer_queue_promote(transfer->queue, number);
    pthread_mutex_unlock(&transfer->lock);
}

void ss_transfer_cancel(struct ss_transfer *transfer, uint64_t number)
{
    pthread_mutex_lock(&transfer->lock);
    ss_transfer_queue_cancel(transfer->queue, number);
    pthread_cond_signal(&transfer->changed);
    pthread_mutex_unlock(&transfer->lock);
}
