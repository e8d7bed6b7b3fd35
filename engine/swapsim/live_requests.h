/* The requests of a run that are not over, by handle. A handle is never used twice; a record is,
 * but late enough that no batch in flight still reads it. */
#ifndef SS_SWAPSIM_LIVE_REQUESTS_H
#define SS_SWAPSIM_LIVE_REQUESTS_H

#include "engine/sim/group.h"
#include "engine/swapsim/metrics.h"

struct ss_live_request {
    struct ss_sim_request plan; /* what the ranks see; its handle is 0 where the request is over */
    struct ss_outcome outcome;
    uint64_t token_ns; /* when its latest token came */
    uint32_t process;  /* of the workload */
    uint32_t next;     /* free list */
};

struct ss_live_requests {
    struct ss_live_request **blocks; /* that never move: the ranks keep pointers */
    uint32_t block_count, count_max;
    uint32_t first_free, last_free; /* oldest and youngest of the records that are over */
    uint32_t free_count, free_min;
    uint64_t made, live, live_max;
};

/* A record is used again after FREE_MIN others were freed. */
void ss_live_requests_open(uint32_t free_min, struct ss_live_requests *out);
void ss_live_requests_close(struct ss_live_requests *requests);

/* A cleared record with its handle. */
SS_MUST_CHECK enum ss_status ss_live_requests_add(struct ss_live_requests *requests,
                                                  struct ss_live_request **out);
struct ss_live_request *ss_live_requests_find(const struct ss_live_requests *requests,
                                              uint64_t handle);
void ss_live_requests_end(struct ss_live_requests *requests, struct ss_live_request *request);

#endif
