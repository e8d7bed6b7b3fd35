/* What was measured, for people and for the file of results. */
#ifndef SS_EXPERIMENTS_STEPBENCH_FIGURES_H
#define SS_EXPERIMENTS_STEPBENCH_FIGURES_H

#include <jansson.h>

#include "experiments/stepbench/bed.h"

/* Prints a figure and adds it to ROWS (rank 0's; null elsewhere). */
void figures_say(const struct bed *bed, json_t *rows, const char *what, double value,
                 const char *unit);

#endif
