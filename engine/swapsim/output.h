/* The files of a run. */
#ifndef SS_SWAPSIM_OUTPUT_H
#define SS_SWAPSIM_OUTPUT_H

#include <stdio.h>

#include "engine/swapsim/run.h"

#define SS_REQUESTS_HEADER \
    "arrival_s,model,prompt_tokens,output_tokens,class,first_s,end_s,reason\n"
#define SS_ARRIVALS_HEADER "time_s,model,prompt_tokens,output_tokens,class\n"
#define SS_TOKENS_HEADER   "time_s,model,gap_s\n" /* gap_s: none for a request's first token */

/* summary.json: the same for the same config, workload and seed, to the byte. */
void ss_write_summary(FILE *file, const struct ss_run_options *options, struct ss_metrics *metrics,
                      const struct ss_run_totals *totals);

/* wall.json: how fast the simulation was. */
void ss_write_wall(FILE *file, const struct ss_metrics *metrics,
                   const struct ss_run_totals *totals);

/* A few lines for people. */
void ss_write_digest(FILE *file, struct ss_metrics *metrics, const struct ss_run_totals *totals);

#endif
