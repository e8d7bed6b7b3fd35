/* A mailbox: one directed edge between two threads of a process.
 *
 * It behaves as MPI does: a short message is copied, and its sender goes on; a long one keeps its
 * sender until it was taken. Both sides block, for a bounded time; after one ran out of it the
 * mailbox is broken, and every call on it fails at once. */
#ifndef SS_PIPELINE_COMM_MAILBOX_H
#define SS_PIPELINE_COMM_MAILBOX_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

struct ss_mailbox;

/* Room for PLACES messages; those up to EAGER_BYTES are copied. */
SS_MUST_CHECK enum ss_status ss_mailbox_create(int places, size_t eager_bytes,
                                               struct ss_mailbox **out);
void ss_mailbox_destroy(struct ss_mailbox *mailbox);

/* SS_TIMEOUT: no room, or nobody took it. SS_CANCELLED: the other side gave up before. */
SS_MUST_CHECK enum ss_status ss_mailbox_send(struct ss_mailbox *mailbox, const void *data,
                                             size_t bytes, uint64_t timeout_ns);

/* The next message, which must have BYTES (else SS_INTERNAL). SS_TIMEOUT and SS_CANCELLED as above.
 */
SS_MUST_CHECK enum ss_status ss_mailbox_receive(struct ss_mailbox *mailbox, void *data,
                                                size_t bytes, uint64_t timeout_ns);

#endif
