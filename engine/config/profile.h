/* What a machine's links and computing are worth, as a benchmark of it found: a YAML file
 * (configs/profiles/README.md lists its keys). The simulator takes its times from it, and the
 * controller plans with it. */
#ifndef SS_CONFIG_PROFILE_H
#define SS_CONFIG_PROFILE_H

#include <stdint.h>
#include <stdio.h>

#include "engine/base/status.h"
#include "engine/config/schema.h"

struct ss_profile {
    struct {
        double alone_bytes_per_s;   /* host to device, one rank alone, large copies */
        double total_bytes_per_s;   /* ... of all ranks that move at once, together */
        double to_host_bytes_per_s; /* device to host, one rank alone; and of all */
        double to_host_total_bytes_per_s;
        double both_bytes_per_s; /* both ways at once, one rank alone, together; 0: no limit */
        double to_host_share;    /* of a rate that is short; a copy to the device has 1 */
        uint64_t piece_gap_ns;   /* between two pieces */
    } link;
    struct {
        double memory_bytes_per_s;  /* reading weights */
        double context_bytes_per_s; /* reading the KV cache; 0: as fast as weights */
        double flops_per_s;         /* in matrix products of many rows */
        uint64_t layer_overhead_ns; /* of a layer, beside reading and arithmetic */
        uint64_t step_overhead_ns;  /* of a step on a stage */
    } compute;
    struct {
        uint64_t latency_ns;
        double bytes_per_s; /* of what each rank gives */
    } collective;           /* an all-reduce over the tensor-parallel ranks of a stage */
    struct {
        uint64_t entry_ns;             /* an entry to the next stage */
        uint64_t activation_ns;        /* activations to the next stage, tokens to the first */
        double activation_bytes_per_s; /* 0: free */
        uint64_t report_ns;            /* a report to the controller, at least ... */
        uint64_t report_jitter_ns;     /* ... and at most this much more */
    } edge;
};

extern const struct ss_schema ss_profile_schema;

/* Reads PATH; mistakes go to MISTAKES, as ss_config_read() has it. Freed with ss_free(). */
SS_MUST_CHECK enum ss_status ss_profile_read(const char *path, FILE *mistakes,
                                             struct ss_profile **out);

/* As ss_profile_read(), of BYTES at TEXT, called PATH in messages. */
SS_MUST_CHECK enum ss_status ss_profile_read_text(const char *path, const char *text, size_t bytes,
                                                  FILE *mistakes, struct ss_profile **out);

#endif
