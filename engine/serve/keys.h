/* The CURVE keys that a config names: Z85 text, one key a line. # begins a comment, before or
 * behind a key; being a Z85 character too, it does not where it is part of a key's 40 characters.
 */
#ifndef SS_ENGINE_KEYS_H
#define SS_ENGINE_KEYS_H

#include <stddef.h>

#include "engine/base/status.h"
#include "engine/config/config.h"

struct ss_keys {
    char *secret; /* null: no encryption */
    char **clients;
    size_t client_count;
};

/* Reads both files; errors name file and line, never a key. */
SS_MUST_CHECK enum ss_status ss_keys_read(const struct ss_config *config, struct ss_keys *out);

/* Frees the keys, the secret one after wiping it. */
void ss_keys_release(struct ss_keys *keys);

#endif
