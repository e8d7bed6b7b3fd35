/* What only several keys together, or the file system, can tell to be wrong. */
#ifndef SS_CONFIG_CHECKS_H
#define SS_CONFIG_CHECKS_H

#include "engine/config/walk.h"

/* Fills in the defaults that depend on other keys (pages, pieces, spill, batches in flight,
 * deterministic). Before ss_check(), after ss_walk(). */
void ss_fill_defaults(struct ss_reading *reading);

/* Notes every clash between keys, every name or path that cannot be. Keys already noted as wrong
 * are left alone. */
void ss_check(struct ss_reading *reading);

/* The part of ss_check() that looks at the list of models. */
void ss_check_models(struct ss_reading *reading);

#endif
