/* The links: which loads are on their way, how long that takes, and how fast bytes come. */
#ifndef SS_CORE_LINK_H
#define SS_CORE_LINK_H

#include "engine/core/state.h"

/* The first load under way behind LOAD in the table, of all for null; null: there is none. */
static inline struct ss_load *ss_link_next_load(const struct ss_controller *controller,
                                                const struct ss_load *load)
{
    uint32_t at = load ? (uint32_t)(load - controller->loads) + 1 : 0;
    while (at < controller->limits.loads_in_flight && controller->loads[at].number == 0)
        at++;
    return at < controller->limits.loads_in_flight ? &controller->loads[at] : 0;
}

/* How long the links will be busy with the loads that were ordered, guesses left out, until load
 * NUMBER is over. */
double ss_link_busy_ns(const struct ss_controller *controller, uint64_t number);

/* How long until all of the model's chunks are there, by what ranks reported; UINT64_MAX: unknown.
 */
uint64_t ss_link_left_ns(const struct ss_controller *controller, const struct ss_model *model);

/* How much of the chunk that is on its way to a stage may have moved since the last report. */
double ss_link_moved_ns(const struct ss_controller *controller, const struct ss_load *load,
                        uint16_t stage);

/* How long the links will be busy with what is missing of the model. */
uint64_t ss_link_missing_ns(const struct ss_controller *controller, const struct ss_model *model);

/* BYTES of the load's part on a stage took so long on each rank: gives the time of a byte there. */
void ss_link_learn(struct ss_controller *controller, const struct ss_load *load, uint16_t stage,
                   double bytes, double took_ns);

/* The load is over after TOOK_NS, what it waited for included: gives the slowest and the fastest
 * rate that were seen. */
void ss_link_note_load(struct ss_controller *controller, const struct ss_load *load,
                       uint64_t took_ns);

#endif
