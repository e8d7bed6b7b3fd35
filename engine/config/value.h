/* One scalar of the file, judged by its key and put into its field. */
#ifndef SS_CONFIG_VALUE_H
#define SS_CONFIG_VALUE_H

#include <stdbool.h>

#include "engine/base/status.h"
#include "engine/config/schema.h"

/* Parses TEXT as KEY asks and stores it at BASE (the struct that KEY's offset is in). QUOTED texts
 * are no numbers and no booleans. Paths are taken from FOLDER. Strings are allocated; what the
 * field held is freed. SS_INVALID: the message is "found ..., expected ..."; the field stands. Not
 * for lists. */
SS_MUST_CHECK enum ss_status ss_value_set(const struct ss_key *key, void *base, const char *text,
                                          bool quoted, const char *folder);

/* Frees what KEY's field at BASE holds, a text or a list of texts, and clears it. */
void ss_value_clear(const struct ss_key *key, void *base);

#endif
