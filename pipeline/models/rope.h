/* Rotary positions: what a config asks for, and the frequencies that follow. */
#ifndef SS_PIPELINE_ROPE_H
#define SS_PIPELINE_ROPE_H

#include "pipeline/models/model.h"

/* Reads rope_theta and rope_scaling (old configs) or rope_parameters (new ones) of CONFIG into
 * SHAPE->rope. Types other than default and llama3 are refused by name. */
SS_MUST_CHECK enum ss_status ss_rope_parse(const void *config, const char *where,
                                           struct ss_shape *shape);

#endif
