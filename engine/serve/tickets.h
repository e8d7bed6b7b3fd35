/* Tickets: what the front end keeps of each request, beside what the controller does.
 *
 * A ticket is made on the server's thread, handed to the link thread with the request's arrival,
 * and belongs to it from then on. It holds the prompt, turns tokens into text, watches for stop
 * strings, and keeps what was not sent yet. Handles carry a generation: one of a ticket that is
 * gone finds nothing. */
#ifndef SS_ENGINE_TICKETS_H
#define SS_ENGINE_TICKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "pipeline/entry/entry.h"
#include "pipeline/text/detokenizer.h"
#include "pipeline/text/stop.h"
#include "rpc/server.h"

struct ss_ticket {
    uint64_t handle; /* 0: free */
    uint32_t next_free;
    struct ss_reply_to to;
    enum ss_op op; /* submit, or the operator's ops that wait for the controller */
    uint16_t model;
    uint8_t class; /* enum ss_class */
    bool stream;
    bool accepted; /* the link thread will answer it; written under the inbox's lock */
    bool stopped;  /* a stop string was found, or the client is gone: no more text */
    bool gone;     /* nobody waits for the answer */
    struct ss_opening opening;
    int32_t *prompt;
    uint64_t arrived_ns, first_token_ns, deadline_ns;
    uint32_t completion_tokens;

    struct ss_detokenizer detokenizer; /* .tokenizer is null for a model without one */
    struct ss_stop_set *stops;         /* null: none */
    struct ss_stop_stream stop_stream;
    char *text; /* not sent yet */
    size_t text_bytes, text_room;
    uint32_t *tokens; /* not sent yet */
    size_t token_count, token_room;
};

struct ss_tickets;

/* COUNT tickets, for a server whose replies go to SLOTS slots. */
SS_MUST_CHECK enum ss_status ss_tickets_create(uint32_t count, uint32_t slots,
                                               struct ss_tickets **out);
void ss_tickets_destroy(struct ss_tickets *tickets);

/* A ticket with a handle that answers TO, otherwise cleared; SS_FULL when all are taken. From now
 * on the link thread may find it, but reads no more than TO and OP before it is handed over. Any
 * thread. */
SS_MUST_CHECK enum ss_status ss_ticket_take(struct ss_tickets *tickets, struct ss_reply_to to,
                                            enum ss_op op, struct ss_ticket **out);
void ss_ticket_release(struct ss_tickets *tickets, struct ss_ticket *ticket);

/* The live ticket of HANDLE; null where it is gone. Link thread. */
struct ss_ticket *ss_ticket_find(struct ss_tickets *tickets, uint64_t handle);

/* The live ticket that answers TO; null where there is none. Link thread. */
struct ss_ticket *ss_ticket_find_reply(struct ss_tickets *tickets, struct ss_reply_to to);

/* The next live ticket after HANDLE's (0: the first), in no special order; null at the end. */
struct ss_ticket *ss_ticket_next(struct ss_tickets *tickets, const struct ss_ticket *after);

/* Appends TOKEN and its text. Sets ticket->stopped where a stop string ends in it. */
SS_MUST_CHECK enum ss_status ss_ticket_push(struct ss_ticket *ticket, int32_t token);

/* Appends what was held back: the answer is over. */
SS_MUST_CHECK enum ss_status ss_ticket_finish(struct ss_ticket *ticket);

/* What was not sent yet; ss_ticket_sent() forgets it. */
struct ss_piece ss_ticket_unsent(const struct ss_ticket *ticket);
void ss_ticket_sent(struct ss_ticket *ticket);

#endif
