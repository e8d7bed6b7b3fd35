/* A server's configuration: one YAML file, read and checked as a whole.
 *
 * Sizes carry units (512MiB, 2GB), rates too (10GB/s), and times (250ms, 10us). Every mistake in
 * the file is reported, each with line, column, key, what was found and what would be right;
 * nothing starts unless there is none. configs/README.md lists every key; the defaults here and
 * there are the same, which a test checks. Paths are relative to the file's folder. */
#ifndef SS_ENGINE_CONFIG_H
#define SS_ENGINE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/status.h"
#include "engine/config/schema.h"

#define SS_MODELS_MAX      65534 /* entries name a model with 16 bits, and 65535 is none */
#define SS_ENDPOINTS_MAX   8
#define SS_CLIENT_KEYS_MAX 64

/* Where a model's weights come from. */
struct ss_config_model {
    char *name;           /* what requests call it; unique */
    char *path;           /* absolute; a checkpoint folder; null for synthetic */
    char *synthetic;      /* published shape: "opt-13b"; null for a checkpoint */
    double scale;         /* synthetic: layers kept, as a share of the published count, (0, 1] */
    uint64_t seed;        /* synthetic */
    char *dtype;          /* synthetic: "f16" (default), "bf16" or "f32" */
    char *tokenizer;      /* absolute path of a tokenizer.json; default: in the folder, if there */
    uint32_t context_max; /* tokens of prompt and answer; 0: the model's own maximum */
    uint32_t batch_max;   /* sequences per step; 0: limits.batch_max */
    bool pin;             /* never dropped; loaded at start */
    uint32_t count;       /* synthetic: so many alike, NAME-0, NAME-1, ...; 0: one, called NAME */
    int line;             /* in the file, for later checks */
    int entry;            /* index in the file's list: models of one count share it */
    int alike;            /* index of the first model of its entry: the same but for the seed */
};

struct ss_config {
    char *path;
    struct {
        int tp, pp;
    } group;
    struct {
        char *kind;                /* "cpu", "cuda" */
        size_t pool_bytes;         /* of each rank, for weights and KV cache together */
        size_t page_bytes;         /* default 2MiB on cuda, 64KiB on cpu */
        size_t piece_bytes;        /* default 16MiB on cuda, 1MiB on cpu */
        int pieces_in_flight;      /* default 2 */
        bool graphs;               /* steps are recorded and launched as one */
        uint64_t link_bytes_per_s; /* cpu: 0 is unlimited */
        uint64_t link_latency_ns;  /* cpu */
        char *compute;             /* cpu: "real" or "paced" */
        struct {
            double memory_bytes_per_s, flops_per_s;
            uint64_t overhead_ns;
        } profile; /* paced */
    } device;
    struct {
        size_t limit_bytes; /* of the host arena on each node; 0: what the machine has */
        size_t spill_bytes; /* of each rank, for KV of sequences set aside */
    } arena;
    struct {
        struct ss_texts endpoints;
        size_t frame_bytes_max;
        int clients_max;
        size_t client_buffer_bytes_max; /* replies waiting for one slow client */
        char *curve_secret_key_file;    /* null: no encryption */
        char *curve_client_keys_file;   /* allowed clients' public keys, one a line */
    } server;
    struct {
        uint32_t requests_max;
        uint32_t queue_max_per_model; /* 0: requests_max */
        uint32_t slots_max;
        uint32_t batch_max;
        uint32_t step_tokens_max;
        uint32_t prompt_tokens_max; /* 0: bounded by the model's context alone */
        uint32_t batches_in_flight; /* 0: tp x pp dependent default, pp + 1 */
        uint32_t loads_in_flight;
        uint64_t stall_max_ns;
        uint64_t step_time_max_ns; /* 0: steps are bounded by tokens alone */
        uint64_t overdue_ns;       /* 0: never */
        uint64_t overdue_batch_ns; /* of class batch; overdue_ns at least counts */
        uint64_t quantum_ns;
        double realtime_share;    /* of steps and time on the links, while others wait */
        uint64_t peer_timeout_ns; /* a collective that waits longer for a peer fails */
    } limits;
    struct {
        bool copy_back, wait_whole_load, poll;
        uint32_t models_max; /* 0: no limit */
    } emulate;
    char *policy; /* "lru", "swap_aware" */
    struct {
        bool price, partial, stay, prefetch, patience;
    } swap_aware;
    bool deterministic;
    uint32_t kv_block_tokens;
    char *profile;   /* what the machine's links and computing are worth; null: unknown */
    char *trace;     /* file for a Chrome trace; null: none */
    char *log_level; /* "debug", "info", "warning", "error" */
    int model_count;
    struct ss_config_model *models; /* owned, as all strings are */
};

/* Reads PATH. On failure every mistake has been written to MISTAKES (a stream, one line each,
 * "file:line:col: key: found ..., expected ..."), and the status message counts them. */
SS_MUST_CHECK enum ss_status ss_config_read(const char *path, FILE *mistakes,
                                            struct ss_config **out);
void ss_config_destroy(struct ss_config *config);

extern const struct ss_schema ss_config_schema;

#endif
