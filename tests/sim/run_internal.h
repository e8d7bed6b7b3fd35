/* The inside of a run, shared by run.c (what happens), promises.c (what must come of it),
 * misfortune.c (ranks that are lost, cancels in chosen states) and trace.c. */
#ifndef SS_SIM_RUN_INTERNAL_H
#define SS_SIM_RUN_INTERNAL_H

#include "tests/sim/run.h"

#define HANDLE_BASE 1000

/* Beside what happens in the group. */
enum run_kind { ARRIVES = SS_SIM_KINDS, CANCELLED, GONE, LOST, DRAIN, CONTROL, SLOW, FAST };

struct fate {
    bool arrived, accepted, answered, was_cancelled;
    uint32_t tokens;
    uint32_t before; /* accepted and unanswered when it arrived */
    uint64_t arrived_ns;
    uint64_t wait_max_ns; /* until its first step; UINT64_MAX: any */
};

struct run {
    struct scenario scenario;
    struct ss_sim_queue queue;
    struct ss_sim_group *group;
    struct fate fates[SCENARIO_REQUESTS_MAX];
    uint32_t arrived, unanswered, controls_asked, controls_done;
    uint64_t now_ns, draws;
    uint64_t idle_since_ns; /* idle.c; UINT64_MAX: the ranks are at work, or nothing could be */
    uint64_t entries_seen, freed_seen, decisions_seen; /* overtaking.c: at its latest look */
    bool overtaking_excused;
    bool drain_asked, drained;

    bool loss_due, loss_begun; /* its moment may come; it came */
    uint64_t swallowed_serial; /* of the report that got lost */
    uint64_t short_load;       /* the load whose chunks a rank does not have */
    bool loss_done, loss_told; /* its one report was touched; the controller gave up */

    struct seen *seen;
    FILE *trace;
    char failure[512];
};

extern struct run run;

void run_fail(const char *what, uint64_t request);
void run_check(bool right, const char *wrong, uint64_t request);
void run_feed(const struct ss_event *events, uint32_t count);
void run_cancel(const uint32_t *requests, uint32_t count, enum ss_end reason);
uint64_t run_draw(uint64_t below);

/* promises.c */
void promise_arrival(uint32_t request);
void promise_waits(uint32_t first, uint32_t count); /* after they arrived */
void promise_action(void *user, const struct ss_action *action);
void promise_step(void);
void promise_over(void);

/* The handle of a request of LAST's class or one above it that can take a step; 0: none can
 * (could_step.c). */
uint64_t run_could_step(enum ss_class last);

/* idle.c, overtaking.c: after each step */
void promise_work(void);
void promise_overtaking(void);

/* misfortune.c: after each step; and whether a taken event of the group may happen. */
void misfortune_step(void);
void misfortune_lose(void);
bool misfortune_lets(const struct ss_sim_event *event);

/* trace.c */
void trace_event(const struct ss_sim_event *event);
void trace_action(const struct ss_action *action);

#endif
