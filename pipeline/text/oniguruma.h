/* Oniguruma patterns, as a tokenizer.json has them, in PCRE2's words. */
#ifndef SS_PIPELINE_TEXT_ONIGURUMA_H
#define SS_PIPELINE_TEXT_ONIGURUMA_H

#include "engine/base/status.h"

/* Rewrites PATTERN (valid UTF-8) so that PCRE2 with UTF and UCP matches what Oniguruma 6.9.10 with
 * Ruby's syntax matches; *OUT is the caller's, for ss_free().
 *
 * The two agree on most of what byte-level tokenizers use; the rest is spelled out: \s (PCRE2 adds
 * U+180E), and \p{...} of a general category (PCRE2's Unicode is older: unicode_table.h). What
 * means something else in the two and is not spelled out here is SS_UNSUPPORTED, with its offset:
 * \b \w \h \R \X, anchors, back references, option letters other than (?i:), POSIX brackets, class
 * sets
 * (&&, nested brackets), scripts. PCRE2 itself judges the rest. */
SS_MUST_CHECK enum ss_status ss_oniguruma_to_pcre2(const char *pattern, char **out);

#endif
