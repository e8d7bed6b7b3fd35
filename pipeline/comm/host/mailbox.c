#include "pipeline/comm/host/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"

struct place {
    const void *data; /* the copy, or the sender's own memory */
    size_t bytes;
    void *copy;
    size_t copy_bytes;
};

struct ss_mailbox {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    size_t eager_bytes;
    uint64_t sent, taken; /* messages so far; PLACES between them at most */
    bool broken;
    int place_count;
    struct place places[];
};

enum ss_status ss_mailbox_create(int places, size_t eager_bytes, struct ss_mailbox **out)
{
    struct ss_mailbox *mailbox;
    enum ss_status status = ss_alloc(
        &mailbox, 1, sizeof *mailbox + (size_t)places * sizeof mailbox->places[0], "a mailbox");
    if (status != SS_OK)
        return status;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&mailbox->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&mailbox->mutex, 0);
    mailbox->eager_bytes = eager_bytes;
    mailbox->place_count = places;
    *out = mailbox;
    return SS_OK;
}

void ss_mailbox_destroy(struct ss_mailbox *mailbox)
{
    if (!mailbox)
        return;
    for (int i = 0; i < mailbox->place_count; i++)
        ss_free(mailbox->places[i].copy);
    pthread_cond_destroy(&mailbox->changed);
    pthread_mutex_destroy(&mailbox->mutex);
    ss_free(mailbox);
}

static struct timespec deadline_of(uint64_t timeout_ns)
{
    uint64_t now_ns = ss_now_ns();
    uint64_t deadline_ns = timeout_ns < UINT64_MAX - now_ns ? now_ns + timeout_ns : UINT64_MAX;
    return (struct timespec){.tv_sec = (time_t)(deadline_ns / SS_NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % SS_NS_PER_S)};
}

/* Waits until *COUNTER >= VALUE, with the mutex held. */
static enum ss_status wait_for(struct ss_mailbox *mailbox, const uint64_t *counter, uint64_t value,
                               const struct timespec *deadline)
{
    while (*counter < value) {
        if (mailbox->broken)
            return SS_CANCELLED;
        if (pthread_cond_timedwait(&mailbox->changed, &mailbox->mutex, deadline) == ETIMEDOUT &&
            *counter < value) {
            mailbox->broken = true;
            pthread_cond_broadcast(&mailbox->changed);
            return SS_TIMEOUT;
        }
    }
    return mailbox->broken ? SS_CANCELLED : SS_OK;
}

static enum ss_status put(struct ss_mailbox *mailbox, const void *data, size_t bytes)
{
    struct place *place = &mailbox->places[mailbox->sent % (uint64_t)mailbox->place_count];
    place->data = data;
    place->bytes = bytes;
    if (bytes <= mailbox->eager_bytes) {
        if (place->copy_bytes < bytes) {
            enum ss_status status = ss_realloc(&place->copy, bytes, 1, "a mailbox");
            if (status != SS_OK)
                return status;
            place->copy_bytes = bytes;
        }
        if (bytes != 0)
            memcpy(place->copy, data, bytes);
        place->data = place->copy;
    }
    mailbox->sent++;
    pthread_cond_broadcast(&mailbox->changed);
    return SS_OK;
}

enum ss_status ss_mailbox_send(struct ss_mailbox *mailbox, const void *data, size_t bytes,
                               uint64_t timeout_ns)
{
    struct timespec deadline = deadline_of(timeout_ns);
    uint64_t places = (uint64_t)mailbox->place_count;
    pthread_mutex_lock(&mailbox->mutex);
    uint64_t number = mailbox->sent;
    uint64_t room_at = number < places ? 0 : number - places + 1;
    enum ss_status status = wait_for(mailbox, &mailbox->taken, room_at, &deadline);
    if (status == SS_OK)
        status = put(mailbox, data, bytes);
    if (status == SS_OK && bytes > mailbox->eager_bytes)
        status = wait_for(mailbox, &mailbox->taken, number + 1, &deadline);
    pthread_mutex_unlock(&mailbox->mutex);
    return status;
}

enum ss_status ss_mailbox_receive(struct ss_mailbox *mailbox, void *data, size_t bytes,
                                  uint64_t timeout_ns)
{
    struct timespec deadline = deadline_of(timeout_ns);
    pthread_mutex_lock(&mailbox->mutex);
    enum ss_status status = wait_for(mailbox, &mailbox->sent, mailbox->taken + 1, &deadline);
    if (status == SS_OK) {
        struct place *place = &mailbox->places[mailbox->taken % (uint64_t)mailbox->place_count];
        if (place->bytes != bytes)
            status = ss_fail(SS_INTERNAL, "comm: a message of %zu bytes where %zu are due",
                             place->bytes, bytes);
        else if (bytes != 0)
            memcpy(data, place->data, bytes);
        mailbox->taken++;
        pthread_cond_broadcast(&mailbox->changed);
    }
    pthread_mutex_unlock(&mailbox->mutex);
    return status;
}
