#include "rpc/server/reply_queue.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/base/fault.h"

enum ss_status ss_reply_queue_create(struct ss_reply_queue *outbox, uint32_t count_max)
{
    int fd = ss_fault(SS_FAULT_FILE) ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return ss_fail_errno(SS_IO, errno, "eventfd for the reply queue");
    *outbox = (struct ss_reply_queue){.count_max = count_max, .fd = fd};
    outbox->end = &outbox->first;
    pthread_mutex_init(&outbox->mutex, 0);
    pthread_cond_init(&outbox->not_full, 0);
    return SS_OK;
}

void ss_reply_queue_destroy(struct ss_reply_queue *outbox)
{
    struct ss_letter *letter = ss_reply_queue_take(outbox);
    while (letter) {
        struct ss_letter *next = letter->next;
        ss_letter_free(letter);
        letter = next;
    }
    pthread_cond_destroy(&outbox->not_full);
    pthread_mutex_destroy(&outbox->mutex);
    close(outbox->fd);
}

void ss_reply_queue_set_reader(struct ss_reply_queue *outbox)
{
    pthread_mutex_lock(&outbox->mutex);
    outbox->reader = pthread_self();
    outbox->has_reader = true;
    pthread_mutex_unlock(&outbox->mutex);
}

enum ss_status ss_reply_queue_put(struct ss_reply_queue *outbox, struct ss_letter *letter)
{
    pthread_mutex_lock(&outbox->mutex);
    bool may_wait = !outbox->has_reader || !pthread_equal(outbox->reader, pthread_self());
    while (may_wait && !outbox->closed && outbox->count >= outbox->count_max)
        pthread_cond_wait(&outbox->not_full, &outbox->mutex);
    bool closed = outbox->closed;
    bool was_empty = !outbox->first;
    if (!closed) {
        letter->next = 0;
        *outbox->end = letter;
        outbox->end = &letter->next;
        outbox->count++;
    }
    pthread_mutex_unlock(&outbox->mutex);
    if (closed) {
        ss_letter_free(letter);
        return ss_fail(SS_CANCELLED, "the server has stopped: the answer was dropped");
    }
    if (was_empty)
        ss_reply_queue_wake(outbox);
    return SS_OK;
}

struct ss_letter *ss_reply_queue_take(struct ss_reply_queue *outbox)
{
    uint64_t count;
    /* Cleared before the queue is read: what is put meanwhile sets it again. */
    if (read(outbox->fd, &count, sizeof count) < 0)
        SS_ASSERT(errno == EAGAIN || errno == EINTR);
    pthread_mutex_lock(&outbox->mutex);
    struct ss_letter *first = outbox->first;
    outbox->first = 0;
    outbox->end = &outbox->first;
    outbox->count = 0;
    pthread_cond_broadcast(&outbox->not_full);
    pthread_mutex_unlock(&outbox->mutex);
    return first;
}

void ss_reply_queue_wake(struct ss_reply_queue *outbox)
{
    uint64_t one = 1;
    /* A full counter cannot be added to, but is as readable as can be. */
    if (write(outbox->fd, &one, sizeof one) < 0)
        SS_ASSERT(errno == EAGAIN || errno == EINTR);
}

void ss_reply_queue_close(struct ss_reply_queue *outbox)
{
    pthread_mutex_lock(&outbox->mutex);
    outbox->closed = true;
    pthread_cond_broadcast(&outbox->not_full);
    pthread_mutex_unlock(&outbox->mutex);
}
