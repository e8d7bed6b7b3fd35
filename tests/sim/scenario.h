/* A random run: a group, its models, requests and misfortunes, all from one seed. */
#ifndef SS_SIM_SCENARIO_H
#define SS_SIM_SCENARIO_H

#include "engine/core/state.h"
#include "engine/sim/group.h"

#define SCENARIO_MODELS_MAX   8
#define SCENARIO_CHUNKS_MAX   6
#define SCENARIO_STAGES_MAX   4
#define SCENARIO_REQUESTS_MAX 400
#define SCENARIO_CLIENTS_MAX  8
#define SCENARIO_CONTROLS_MAX 8
#define SCENARIO_SLOW_MAX     4
#define NO_RANK               UINT32_MAX

struct scenario_request {
    struct ss_sim_request plan;
    uint16_t model;
    uint8_t class;
    uint8_t client;
    bool stopped;                                   /* its cancel is a stop string's */
    uint64_t arrives_ns, cancelled_ns, deadline_ns; /* 0: never */
};

/* How a rank is lost. */
enum scenario_loss {
    LOSS_NONE,
    LOSS_TOLD,      /* the driver says so */
    LOSS_FAILED,    /* the rank reports that it failed */
    LOSS_DEAD,      /* it stops, and nobody says anything */
    LOSS_REPORT,    /* one of its reports is lost */
    LOSS_SHORT,     /* it ends a load without its chunks */
    LOSS_TOKENLESS, /* it reports a batch without its tokens */
    LOSS_KINDS,
};

/* When something happens: at a time, or as soon as some sequence or chunk is in a state. */
struct scenario_moment {
    enum { MOMENT_TIME, MOMENT_SEQUENCE, MOMENT_CHUNK } kind;
    uint64_t at_ns; /* not before */
    uint32_t state;
};

struct scenario_slow {
    uint64_t from_ns, to_ns;
    uint32_t rank; /* NO_RANK: all */
};

struct scenario {
    uint64_t seed, drawn;
    struct ss_sim_options options;
    struct ss_controller_model models[SCENARIO_MODELS_MAX];
    uint32_t chunk_pages[SCENARIO_MODELS_MAX][SCENARIO_STAGES_MAX][SCENARIO_CHUNKS_MAX];
    uint64_t chunk_bytes[SCENARIO_MODELS_MAX][SCENARIO_STAGES_MAX][SCENARIO_CHUNKS_MAX];

    uint32_t request_count, client_count, classes;
    struct scenario_request requests[SCENARIO_REQUESTS_MAX];
    uint64_t end_ns; /* the last arrival */
    bool together;   /* what arrives at one time is one step's */

    uint64_t gone_ns[SCENARIO_CLIENTS_MAX]; /* when the client vanishes; 0: never */
    uint32_t cancel_in;                     /* after one step in so many, something in ... */
    uint32_t cancel_state; /* ... this state is cancelled (enum ss_sequence_state); 0: in no step */
    uint64_t drain_ns;     /* 0: never */
    uint32_t control_count; /* operators' loads and drops */
    struct {
        uint64_t at_ns;
        uint16_t model;
        bool drop;
    } controls[SCENARIO_CONTROLS_MAX];

    uint32_t slow_count;
    struct scenario_slow slow[SCENARIO_SLOW_MAX];
    enum scenario_loss loss;
    uint32_t loss_rank;
    struct scenario_moment loss_when;

    struct ss_wait_rates rates;       /* the worst of this machine */
    uint64_t wait_max_ns_per_request; /* a generous share of the time that one request may cost */
};

void scenario_draw(uint64_t seed, struct scenario *out);

#endif
