/* The command line of swapsim. */
#ifndef SS_SWAPSIM_OPTIONS_H
#define SS_SWAPSIM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define SS_SWAPSIM_EXIT_WRONG 2 /* files or options are wrong */

struct ss_swapsim_options {
    const char *config;
    const char *workload, *arrivals; /* one of the two */
    const char *out, *save_arrivals, *tokens;
    uint64_t seed;
    uint32_t groups;
    uint64_t duration_ns; /* 0: as the workload has it */
    double rate;
    double cv; /* below 0: as the workload has it */
    double slo_factor;
    uint64_t slo_ns; /* 0: by SLO_FACTOR */
    bool check, quiet, bound;
};

/* Takes ARGV, whose texts OUT borrows. Ends the process where they are wrong, or for --help. */
void ss_swapsim_options_read(int argc, char **argv, struct ss_swapsim_options *out);

#endif
