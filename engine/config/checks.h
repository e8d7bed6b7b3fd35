/* What only several keys together, or the file system, can tell to be wrong. */
#ifndef SS_CONFIG_CHECKS_H
#define SS_CONFIG_CHECKS_H

#include "engine/config/config.h"
#include "engine/config/walk.h"

/* Fills in the defaults that depend on other keys (pages, pieces, spill, batches in flight,
 * deterministic). Before ss_check(), after ss_walk(). */
void ss_fill_defaults(struct ss_reading *reading);

/* Notes every clash between keys, every name or path that cannot be. Keys already noted as wrong
 * are left alone. */
void ss_check(struct ss_reading *reading);

/* The part that looks at the list of models, as the file has it. False where a count makes more
 * models than there may be, or names too long. */
bool ss_check_entries(struct ss_reading *reading, const struct ss_config_model *entries,
                      int entry_count);

/* Notes names that come twice among the config's models, after counts were expanded. */
void ss_check_names(struct ss_reading *reading);

#endif
