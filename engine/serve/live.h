/* The live loop of the controller's rank: requests in, entries out, answers back.
 *
 * It drives the same controller_step as the simulator: the server's thread puts requests into an
 * inbox and wakes the link thread; the link thread feeds requests, reports and time to the
 * controller and carries out what it decides. */
#ifndef SS_ENGINE_LIVE_H
#define SS_ENGINE_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/serve/catalog.h"
#include "pipeline/link/link.h"
#include "pipeline/stage/rank.h"
#include "pipeline/text/tokenizer.h"

#define SS_HOST_BYTES 64

struct ss_live;
struct ss_record;

struct ss_live_options {
    const struct ss_catalog *catalog;
    struct ss_link *link;
    struct ss_tokenizer *const *tokenizers; /* per model; null for one without */
    const char *hosts;                      /* [rank][SS_HOST_BYTES], for status */
    struct ss_record *record;               /* of entries; null: none */
};

/* Makes the controller and the server, binds its endpoints (a bad one fails here) and opens the
 * door: requests are refused until ss_live_start(). */
SS_MUST_CHECK enum ss_status ss_live_create(const struct ss_live_options *options,
                                            struct ss_live **out);
void ss_live_destroy(struct ss_live *live);

/* Takes requests from now on; RANK is the loop that will call on_turn and on_report, DEVICE a
 * description, for status. */
void ss_live_start(struct ss_live *live, struct ss_rank *rank, const char *device);

/* For struct ss_rank_options; USER is the live loop. */
void ss_live_on_report(void *live, const struct ss_report *report);
uint64_t ss_live_on_turn(void *live);

/* Asks for a drain; from any thread or signal handler. */
void ss_live_ask_drain(struct ss_live *live);

/* This rank cannot go on: every accepted request is answered so. Link thread, after its loop. */
void ss_live_lose(struct ss_live *live);

/* Answers what was accepted and will not be served (after a shutdown), sends what was answered for
 * a bounded time, and closes the door. Link thread, after its loop. */
void ss_live_stop(struct ss_live *live);

/* True when a rank failed or the link broke: the exit status is not 0. */
bool ss_live_failed(const struct ss_live *live);

/* The bound endpoint INDEX, "" past the last. */
const char *ss_live_endpoint(const struct ss_live *live, size_t index);

#endif
