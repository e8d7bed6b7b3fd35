/* What the parts of the live loop share: live.c (the loop), live_create.c (its making), intake.c
 * (requests, on the server's thread), answers.c (actions become answers), orders.c (entries to the
 * ranks), status.c (what it tells of itself). */
#ifndef SS_ENGINE_LIVE_INTERNAL_H
#define SS_ENGINE_LIVE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/serve/hiding.h"
#include "engine/serve/live.h"
#include "engine/serve/tickets.h"

#define ACTIONS_MAX     256 /* of one controller step */
#define EVENTS_PER_FEED 64

enum inbox_kind { INBOX_ARRIVED, INBOX_CANCEL, INBOX_GONE };

struct inbox_item {
    enum inbox_kind kind;
    struct ss_ticket *ticket; /* arrived */
    struct ss_reply_to to;    /* cancel, gone */
};

struct rank_counters {
    uint64_t bytes_to_device, bytes_to_host;
};

struct ss_live {
    struct ss_live_options options;
    const struct ss_config *config;
    const char *device;
    struct ss_controller *controller;
    struct ss_server *server;
    struct ss_tickets *tickets;
    struct ss_rank *rank;
    struct ss_hiding *hiding;
    struct rank_counters *counters; /* per rank */
    struct ss_action *actions;
    unsigned char *message;
    size_t message_bytes_max;
    uint64_t last_entry;
    uint64_t timer_ns;
    uint64_t started_ns;
    atomic_bool started; /* requests are taken */
    atomic_bool drain_asked;
    atomic_uint_fast64_t seeds;
    atomic_uint_fast64_t refused; /* before the controller saw them */
    bool draining, leaving, failed;
    bool lost; /* the end is by no order of anybody's */

    /* Events that answering caused: fed after the actions in hand. At most one per ticket. */
    struct ss_event *pending;
    uint32_t pending_count, pending_max;

    pthread_mutex_t inbox_lock;
    struct inbox_item *inbox;
    size_t inbox_count, inbox_room;
    enum ss_status inbox_closed; /* not SS_OK: nobody will look again, what comes is refused so */
};

/* To clients, whoever notices. */
#define SS_LIVE_LOST "the server ends early: a rank was lost, or mpirun was told to end it"

/* orders.c: sends nothing once the last entry is out, or nobody takes them any more. */
void ss_live_send(struct ss_live *live, const struct ss_entry *entry);
void ss_live_send_stop(struct ss_live *live);
/* The server ends, and its exit status says so. */
void ss_live_fail(struct ss_live *live);

/* intake.c: the server's callbacks. */
void ss_live_on_request(void *live, const struct ss_request *request, struct ss_reply_to to);
void ss_live_on_cancel(void *live, struct ss_reply_to to);
void ss_live_on_gone(void *live, struct ss_reply_to to);

/* answers.c */
void ss_live_answer_token(struct ss_live *live, const struct ss_action *action);
void ss_live_answer_end(struct ss_live *live, const struct ss_action *action);
void ss_live_answer_refusal(struct ss_live *live, const struct ss_action *action);
void ss_live_answer_control(struct ss_live *live, const struct ss_action *action);
void ss_live_answer_unserved(struct ss_live *live, struct ss_ticket *ticket);
void ss_live_answer_begun(struct ss_live *live, struct ss_reply_to to);

/* status.c */
void ss_live_answer_status(struct ss_live *live, struct ss_reply_to to);
void ss_live_answer_models(struct ss_live *live, struct ss_reply_to to);

#endif
