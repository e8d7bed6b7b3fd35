/* Room: who must leave so that a claim finds its pages free.
 *
 * Claims are by precedence (precedence.h). A claim must leave what earlier ones still need, and may
 * take from all that comes later: so what serves the first of all always gets its room, and
 * something can always progress, whatever the policy. A policy only chooses among the victims. But
 * where turns end its wait (overdue.h), a load leaves to models at work the KV cache that they have
 * and will need, even to later requests: as weights, those pages would serve fewer. */
#ifndef SS_CORE_ROOM_H
#define SS_CORE_ROOM_H

#include "engine/core/state.h"

struct ss_claim {
    uint64_t order; /* precedence */
    uint16_t model; /* whose weights stay */
    double link_ns; /* a guess: how long it would keep the links busy */
    bool counted;   /* a model must leave for it, whatever is free */
    bool for_load;  /* weights go before other sequences' KV; else the other way round */
    uint32_t need[SS_STAGES_MAX]; /* pages */
    uint32_t wish[SS_STAGES_MAX]; /* more, which a victim that leaves in parts should give too */
};

enum ss_room {
    SS_ROOM_NONE,    /* even all victims would not do: nothing was done */
    SS_ROOM_LEAVING, /* enough was taken, as far as that can be now; it is not all free yet */
    SS_ROOM_FREE,
};

/* Makes need pages free on every stage beside what older claims need. */
enum ss_room ss_room_make(struct ss_controller *controller, const struct ss_claim *claim);

/* Room for a guess: takes idle models whose pages are worth LIMIT each at most, in seconds that
 * requests will not wait; none where that would not do. *PAGES: what is free of each stage beside
 * what requests need to finish. */
void ss_room_make_cheaply(struct ss_controller *controller, const struct ss_claim *claim,
                          double limit, uint32_t *pages);

/* With emulate.models_max: drops models until the claim's may come in beside those that stay. False
 * where that cannot be now. */
bool ss_room_count_models(struct ss_controller *controller, const struct ss_claim *claim);

#endif
