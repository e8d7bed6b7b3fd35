/* Stop strings, looked for in a text that comes in parts (Aho and Corasick, "Efficient string
 * matching", CACM 1975).
 *
 * Text that may be the start of a stop string is held back until it is clear. The match that ends
 * first counts; of several that end there, the longest. So neither what matches nor what text comes
 * before it depends on how the text was cut into parts. */
#ifndef SS_PIPELINE_TEXT_STOP_H
#define SS_PIPELINE_TEXT_STOP_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define SS_STOP_SET_STRINGS_MAX  64
#define SS_STOP_STRING_BYTES_MAX 4096

/* The strings of one request; immutable, shared by threads. */
struct ss_stop_set;

/* One text that goes through. Owns nothing; may be copied. */
struct ss_stop_stream {
    const struct ss_stop_set *set;
    uint32_t state;
    int matched; /* the index of the stop string that was found; -1: none yet */
};

/* Makes a set of COUNT strings, LENGTHS bytes each, copied; 0 strings never match. *OUT is the
 * caller's, for ss_stop_set_destroy(). SS_INVALID: one is empty, too long or not UTF-8, or there
 * are too many. */
SS_MUST_CHECK enum ss_status ss_stop_set_create(const char *const *strings, const size_t *lengths,
                                                size_t count, struct ss_stop_set **out);
void ss_stop_set_destroy(struct ss_stop_set *set);

/* The most bytes that a stream of SET holds back. */
size_t ss_stop_held_max(const struct ss_stop_set *set);

/* Begins a text; SET must outlive it. */
void ss_stop_start(struct ss_stop_stream *stream, const struct ss_stop_set *set);

/* Takes the next BYTES of the text and writes what is now certain to come before any stop string to
 * OUT, which has room for BYTES + ss_stop_held_max() and does not overlap TEXT; returns its length.
 * Where a stop string ends in this part, sets stream->matched, writes the text before it and leaves
 * out the rest; after that, every call gives nothing. If the parts are whole characters, so is what
 * comes out. */
size_t ss_stop_push(struct ss_stop_stream *stream, const char *text, size_t bytes, char *out);

/* Ends the text: writes what was held back to OUT, which has room for ss_stop_held_max(), and
 * returns its length; 0 after a match. */
size_t ss_stop_finish(struct ss_stop_stream *stream, char *out);

#endif
