/* What a Split step looks for: a compiled regular expression or a literal text. */
#ifndef SS_PIPELINE_TEXT_SPLIT_PATTERN_H
#define SS_PIPELINE_TEXT_SPLIT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

/* Immutable once made; shared by threads. */
struct ss_split_pattern;

/* One search through a text, and the memory it needs; a thread's own. */
struct ss_split_search {
    void *match; /* pcre2_match_data, made for any pattern */
    const struct ss_split_pattern *pattern;
    const uint8_t *text;
    size_t bytes, from, last_end; /* last_end: SIZE_MAX before the first match */
};

/* Compiles TEXT: an Oniguruma pattern (oniguruma.h), or characters to be found as they stand. */
SS_MUST_CHECK enum ss_status ss_split_pattern_create(const char *text, bool literal,
                                                     struct ss_split_pattern **out);
void ss_split_pattern_destroy(struct ss_split_pattern *pattern);

SS_MUST_CHECK enum ss_status ss_split_search_open(struct ss_split_search *search);
void ss_split_search_close(struct ss_split_search *search);

/* Starts looking for PATTERN in the BYTES of valid UTF-8 at TEXT. */
void ss_split_search_start(struct ss_split_search *search, const struct ss_split_pattern *pattern,
                           const uint8_t *text, size_t bytes);

/* The next match: [*START, *END), which may be empty, but not where the one before it ended.
 * SS_EMPTY: there are no more. SS_INVALID: the pattern needs too much work on this text. */
SS_MUST_CHECK enum ss_status ss_split_search_next(struct ss_split_search *search, size_t *start,
                                                  size_t *end);

#endif
