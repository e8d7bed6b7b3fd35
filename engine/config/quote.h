/* A stranger's text made fit for a message: in quotes, short, on one line. */
#ifndef SS_CONFIG_QUOTE_H
#define SS_CONFIG_QUOTE_H

#include <stddef.h>

#define SS_QUOTE_BYTES 96

/* Writes TEXT, in double quotes, to the BYTES (8 at least) of OUT: control characters as \xNN, and
 * cut between characters with "..." where it is too long. TEXT is UTF-8. Returns OUT. */
const char *ss_quote(const char *text, char *out, size_t bytes);

#endif
