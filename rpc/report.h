/* What a server tells about itself: filled by the engine, carried by the wire, shown by swapctl.
 *
 * Strings and arrays are borrowed by whoever reads them for the length of the call. Names are at
 * most SS_REPORT_NAME_BYTES_MAX long; longer ones are cut on the wire. */
#ifndef SS_RPC_REPORT_H
#define SS_RPC_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SS_REPORT_NAME_BYTES_MAX 255

enum ss_model_state {
    SS_MODEL_ABSENT,   /* no chunk is resident */
    SS_MODEL_LOADING,  /* a load is under way */
    SS_MODEL_PARTIAL,  /* some chunks are resident, none is on its way */
    SS_MODEL_RESIDENT, /* all chunks are */
    SS_MODEL_STATES
};

const char *ss_model_state_name(enum ss_model_state state);

/* A model as `status` shows it. Bytes and chunks are summed over the ranks of its group. */
struct ss_model_report {
    const char *name;
    const char *family;
    enum ss_model_state state;
    uint64_t total_bytes;
    uint64_t resident_bytes;
    uint64_t chunks;
    uint64_t resident_chunks;
    uint64_t queued;   /* requests accepted, no batch issued yet */
    uint64_t running;  /* requests in generation */
    uint64_t answered; /* requests, since the start */
    uint64_t loads;    /* since the start; a partial load counts as one */
    uint64_t tokens;   /* generated, since the start */
};

struct ss_rank_report {
    uint32_t rank;
    uint32_t stage;
    uint32_t tp; /* position among its stage's tensor-parallel peers */
    const char *device;
    const char *host;
    uint64_t pool_bytes;
    uint64_t pool_used_bytes; /* by weights and KV */
    uint64_t bytes_loaded;    /* host to device, since the start */
    double busy;              /* share of time that the compute stream worked, 0 .. 1, of late */
};

struct ss_server_status {
    const char *version; /* of the server's build */
    uint64_t uptime_ns;
    uint64_t accepted; /* submits, since the start */
    uint64_t answered;
    uint64_t refused; /* requests of any kind, for any reason: malformed, over a limit, ... */
    uint64_t queued;  /* now */
    uint64_t running;
    uint64_t loads;   /* since the start, for requests and operators */
    uint64_t guesses; /* further loads, of what was likely next; the sums below are over both */
    uint64_t drops;
    uint64_t bytes_loaded;
    uint64_t bytes_copied_back; /* device to host by drops; 0 unless emulate.copy_back */
    uint64_t load_ns;           /* sum over loads: entry sent to last chunk ready */
    uint64_t hidden_ns;         /* the part of load_ns that the compute stream did not wait for */
    bool draining;
    const struct ss_model_report *models;
    size_t model_count;
    const struct ss_rank_report *ranks;
    size_t rank_count;
};

/* A model as `models` lists it: what a client must know to use it. */
struct ss_model_info {
    const char *name;
    const char *family;
    enum ss_model_state state;
    uint64_t total_bytes;
    uint32_t context_tokens; /* prompt and completion together */
    uint32_t vocab_tokens;
    bool text; /* has a tokenizer: takes text prompts and gives text */
};

#endif
