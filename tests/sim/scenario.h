/* A random run: a group, its models, requests and misfortunes, all from one seed. */
#ifndef SS_SIM_SCENARIO_H
#define SS_SIM_SCENARIO_H

#include "engine/sim/group.h"

#define SCENARIO_MODELS_MAX   8
#define SCENARIO_CHUNKS_MAX   6
#define SCENARIO_STAGES_MAX   4
#define SCENARIO_REQUESTS_MAX 200
#define NO_RANK               UINT32_MAX

struct scenario_request {
    struct ss_sim_request plan;
    uint16_t model;
    uint64_t arrives_ns, cancelled_ns, deadline_ns; /* 0: never */
};

struct scenario {
    uint64_t seed, drawn;
    struct ss_sim_options options;
    struct ss_controller_model models[SCENARIO_MODELS_MAX];
    uint32_t chunk_pages[SCENARIO_MODELS_MAX][SCENARIO_STAGES_MAX][SCENARIO_CHUNKS_MAX];
    uint64_t chunk_bytes[SCENARIO_MODELS_MAX][SCENARIO_STAGES_MAX][SCENARIO_CHUNKS_MAX];
    uint32_t request_count;
    struct scenario_request requests[SCENARIO_REQUESTS_MAX];
    uint32_t slow_rank;         /* its links have a tenth of the rate; NO_RANK: none's */
    uint64_t lost_ns, drain_ns; /* 0: never */
    uint32_t control_count;     /* operators' loads and drops */
    struct {
        uint64_t at_ns;
        uint16_t model;
        bool drop;
    } controls[8];
    uint64_t wait_max_ns_per_request; /* a generous share of the time that one request may cost */
};

void scenario_draw(uint64_t seed, struct scenario *out);

#endif
