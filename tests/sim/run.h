/* One seeded run: a scenario played to its end, every promise checked after every step. */
#ifndef SS_SIM_RUN_H
#define SS_SIM_RUN_H

#include <stdio.h>

#include "tests/sim/scenario.h"

#define ACTION_KINDS (SS_ACTION_LOST + 1)

/* What was seen over some runs. */
struct seen {
    uint64_t runs, steps, arrived;
    uint64_t sequence_changes[SS_SEQUENCE_STATES][SS_SEQUENCE_STATES];
    uint64_t chunk_changes[SS_CHUNK_STATES][SS_CHUNK_STATES];
    uint64_t ends[SS_END_KINDS], refusals[SS_END_KINDS], losses[SS_LOSS_KINDS];
    uint64_t waits;               /* first steps, within the bound on the wait for them */
    uint64_t told_losses, healed; /* the driver's; those that the group never noticed */
    uint64_t actions[ACTION_KINDS], entries[SS_ENTRY_KINDS];
    uint64_t prefetches, partial_drops, copying_drops, forgets, chunk_moves, block_moves, slices;
    uint64_t cancelled_in[SS_SEQUENCE_STATES], cancelled_behind_load;
    uint64_t lost_in_sequence[SS_SEQUENCE_STATES], lost_in_chunk[SS_CHUNK_STATES];
    struct ss_controller_view views; /* sums */
};

/* Plays SEED, adding to SEEN. TRACE gets a line for everything that happens; null: none. Null where
 * all promises held, else which did not, until the next call. */
const char *run_seed(uint64_t seed, struct seen *seen, FILE *trace);

/* For a signal handler: where the run is. */
uint64_t run_now_ns(void);

/* Prints what was never seen although it can be; true where that is nothing. */
bool seen_all(const struct seen *seen, FILE *out);
void seen_print(const struct seen *seen, FILE *out);

#endif
