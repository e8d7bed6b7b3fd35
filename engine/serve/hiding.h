/* How much of the loads was hidden: measured from what ranks report.
 *
 * For one load and one rank: the share of the time from the entry's sending to the last chunk's
 * arrival on the last rank in which the rank's compute stream worked, i.e. neither waited for
 * chunks nor idled. The load's share is that of its worst rank. Pure; no clock. */
#ifndef SS_ENGINE_HIDING_H
#define SS_ENGINE_HIDING_H

#include <stdint.h>

#include "engine/base/status.h"

struct ss_hiding;

SS_MUST_CHECK enum ss_status ss_hiding_create(int ranks, struct ss_hiding **out);
void ss_hiding_destroy(struct ss_hiding *hiding);

void ss_hiding_load_sent(struct ss_hiding *hiding, uint64_t number, uint64_t now_ns);

/* Load NUMBER ended on one of the ranks at AT_NS. */
void ss_hiding_load_ended(struct ss_hiding *hiding, uint64_t number, uint64_t at_ns);

/* RANK computed from STARTED_NS to ENDED_NS and waited WAITED_NS of it. */
void ss_hiding_busy(struct ss_hiding *hiding, int rank, uint64_t started_ns, uint64_t ended_ns,
                    uint64_t waited_ns);

/* Sums over the loads that are over: their time, and the hidden part of it. */
void ss_hiding_totals(const struct ss_hiding *hiding, uint64_t *load_ns, uint64_t *hidden_ns);

/* Share of the last seconds before NOW_NS in which RANK's compute worked, 0 to 1. */
double ss_hiding_busy_share(const struct ss_hiding *hiding, int rank, uint64_t now_ns);

#endif
