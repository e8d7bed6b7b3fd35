/* Character properties as `tokenizers` 0.23 sees them.
 *
 * It is built on several Unicode versions at once, and ids must not depend on which one our
 * libraries happen to have. Its regular expressions (Oniguruma 6.9.10 and the regex crate) know
 * Unicode 16, Debian 12's PCRE2 knows 14 and its utf8proc 15: what was added in between is listed
 * here. Its NFC (unicode-normalization-alignments 0.1.12) knows Unicode 9: later combining marks
 * have no combining class there. */
#ifndef SS_PIPELINE_TEXT_UNICODE_TABLE_H
#define SS_PIPELINE_TEXT_UNICODE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ss_unicode_range {
    uint32_t first, last;
    uint8_t category; /* utf8proc_category_t */
};

/* The code points that Unicode 15, 15.1 and 16 assigned, in order; static storage. */
const struct ss_unicode_range *ss_unicode_additions(size_t *count);

/* The general category in Unicode 16, as a utf8proc_category_t. */
int ss_unicode_category(uint32_t character);

/* White_Space: the regex crate's \s. */
bool ss_unicode_is_white(uint32_t character);

/* The regex crate's \w: Alphabetic, M, Nd, Pc and Join_Control (UTS #18, annex C). */
bool ss_unicode_is_word(uint32_t character);

/* Rust's char::is_numeric: N, in Unicode 17. */
bool ss_unicode_is_numeric(uint32_t character);

/* The canonical combining class in Unicode 9. */
int ss_unicode_combining_class(uint32_t character);

#endif
