/* One rank of a serving group, whatever the transport: its node, its loop and, on rank 0, the
 * controller and the door. The program runs one per process over MPI, the fault tests several as
 * threads. */
#ifndef SS_ENGINE_MEMBER_H
#define SS_ENGINE_MEMBER_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/status.h"
#include "engine/serve/catalog.h"
#include "pipeline/link/link.h"
#include "pipeline/text/tokenizer.h"

struct ss_member;

enum ss_member_wish {
    SS_MEMBER_GOES_ON,
    SS_MEMBER_DRAINS,  /* rank 0: what was accepted is answered, then all leave; others ask it to */
    SS_MEMBER_HURRIES, /* the same, but the job is killed within a second: after a part of that the
                          run of rank 0 fails, and what is left is answered as lost */
    SS_MEMBER_LEAVES,  /* at once */
};

struct ss_member_options {
    const struct ss_catalog *catalog;
    struct ss_link *link;                    /* of as many ranks as the group has */
    struct ss_tokenizer *const *tokenizers;  /* rank 0: per model; null for one without */
    const char *record;                      /* file for a record (record.h); null: none */
    enum ss_member_wish (*wish)(void *user); /* asked once per turn; null: it goes on */
    void *user;
};

/* Fills the arena, opens the device and the stage, binds the endpoints. Collective: where one rank
 * fails, all do, and what was made is undone. Borrows all of OPTIONS. */
SS_MUST_CHECK enum ss_status ss_member_open(const struct ss_member_options *options,
                                            struct ss_member **out);

/* Serves until the group has drained, or this rank cannot go on: not OK. */
SS_MUST_CHECK enum ss_status ss_member_run(struct ss_member *member);

/* After a run that failed: every accepted request is answered so and the door is closed, then what
 * was posted leaves, within a few seconds. */
void ss_member_abandon(struct ss_member *member);

/* After a run that drained: the last answers leave, the trace is written. Collective. */
SS_MUST_CHECK enum ss_status ss_member_finish(struct ss_member *member);

/* Null is fine. After a failure it may wait for peers as long as limits.peer_timeout. False where
 * the record is not whole, which is said. */
bool ss_member_close(struct ss_member *member);

/* Rank 0: the bound endpoint INDEX, "" past the last. */
const char *ss_member_endpoint(const struct ss_member *member, size_t index);
const char *ss_member_device(const struct ss_member *member);

#endif
