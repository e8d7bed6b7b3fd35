#include "pipeline/link/message.h"

#include <limits.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/memory.h"

/* What one MPI call counts in an int; far above any message that makes sense here. */
#define MESSAGE_BYTES_LIMIT ((size_t)INT_MAX)
#define COUNT_LIMIT         (1 << 24)

enum ss_status ss_message_create(int peer, const void *data, size_t bytes, struct ss_message **out)
{
    struct ss_message *message;
    enum ss_status status = ss_alloc(&message, 1, sizeof *message + bytes, "a link message");
    if (status != SS_OK)
        return status;
    message->peer = peer;
    message->bytes = bytes;
    if (bytes != 0)
        memcpy(message->data, data, bytes);
    *out = message;
    return SS_OK;
}

void ss_message_push(struct ss_message_queue *queue, struct ss_message *message)
{
    message->next = 0;
    if (queue->last)
        queue->last->next = message;
    else
        queue->first = message;
    queue->last = message;
    queue->count++;
}

struct ss_message *ss_message_pop(struct ss_message_queue *queue)
{
    struct ss_message *message = queue->first;
    if (!message)
        return 0;
    queue->first = message->next;
    if (!queue->first)
        queue->last = 0;
    queue->count--;
    return message;
}

void ss_message_clear(struct ss_message_queue *queue)
{
    for (struct ss_message *message; (message = ss_message_pop(queue)) != 0;)
        ss_free(message);
}

enum ss_status ss_link_check_options(const struct ss_link_options *options)
{
    if (options->message_bytes_max == 0 || options->message_bytes_max > MESSAGE_BYTES_LIMIT)
        return ss_fail(SS_INVALID, "link: message_bytes_max is %zu; it must be 1 to %zu",
                       options->message_bytes_max, MESSAGE_BYTES_LIMIT);
    if (options->credits < 1 || options->credits > COUNT_LIMIT)
        return ss_fail(SS_INVALID, "link: credits is %d; it must be 1 to %d", options->credits,
                       COUNT_LIMIT);
    if (options->queue_max < 0 || options->queue_max > COUNT_LIMIT)
        return ss_fail(SS_INVALID, "link: queue_max is %d; it must be 0 to %d", options->queue_max,
                       COUNT_LIMIT);
    return SS_OK;
}

enum ss_status ss_link_check_post(const struct ss_link *link, const struct ss_link_options *options,
                                  int peer, size_t bytes)
{
    SS_ASSERT(peer >= 0 && peer < link->ranks);
    if (bytes > options->message_bytes_max)
        return ss_fail(SS_INVALID,
                       "link: a message of %zu bytes from rank %d to rank %d is over the limit of "
                       "%zu (message_bytes_max)",
                       bytes, link->rank, peer, options->message_bytes_max);
    return SS_OK;
}

enum ss_status ss_link_full(const struct ss_link *link, const struct ss_link_options *options,
                            int peer)
{
    return ss_fail(SS_FULL,
                   "link: the queue from rank %d to rank %d is full (%d messages under way, %d "
                   "behind them)",
                   link->rank, peer, options->credits, options->queue_max);
}
