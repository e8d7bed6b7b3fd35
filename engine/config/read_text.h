/* Reading a configuration from memory: for ss_config_read(), and for a fuzzer. */
#ifndef SS_CONFIG_READ_TEXT_H
#define SS_CONFIG_READ_TEXT_H

#include <stddef.h>
#include <stdio.h>

#include "engine/base/status.h"
#include "engine/config/config.h"

/* As ss_config_read(), of BYTES at TEXT: PATH is its name in messages, FOLDER (absolute) is where
 * its relative paths start. */
SS_MUST_CHECK enum ss_status ss_config_read_text(const char *path, const char *folder,
                                                 const char *text, size_t bytes, FILE *mistakes,
                                                 struct ss_config **out);

#endif
