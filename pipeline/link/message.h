/* Messages inside a link, and queues of them. Not locked: the owner of a queue does that. */
#ifndef SS_PIPELINE_LINK_MESSAGE_H
#define SS_PIPELINE_LINK_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "pipeline/link/link.h"

struct ss_message {
    struct ss_message *next;
    uint64_t order; /* among all that its rank posted, where the transport asks for it */
    int peer;
    size_t bytes;
    unsigned char data[];
};

/* First in, first out; all zero is an empty one. */
struct ss_message_queue {
    struct ss_message *first, *last;
    int count;
};

/* A copy of BYTES of DATA, for or from PEER; freed with ss_free(). */
SS_MUST_CHECK enum ss_status ss_message_create(int peer, const void *data, size_t bytes,
                                               struct ss_message **out);

/* The queue owns the message from push to pop. */
void ss_message_push(struct ss_message_queue *queue, struct ss_message *message);
struct ss_message *ss_message_pop(struct ss_message_queue *queue); /* null when empty */
void ss_message_clear(struct ss_message_queue *queue);

/* The checks that every transport makes: what a link is opened with, and what is posted. */
SS_MUST_CHECK enum ss_status ss_link_check_options(const struct ss_link_options *options);
SS_MUST_CHECK enum ss_status ss_link_check_post(const struct ss_link *link,
                                                const struct ss_link_options *options, int peer,
                                                size_t bytes);

/* SS_FULL, with the numbers. */
enum ss_status ss_link_full(const struct ss_link *link, const struct ss_link_options *options,
                            int peer);

#endif
