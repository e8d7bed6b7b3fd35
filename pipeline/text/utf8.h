/* UTF-8 as RFC 3629 has it, one character at a time. */
#ifndef SS_PIPELINE_TEXT_UTF8_H
#define SS_PIPELINE_TEXT_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define SS_UTF8_BYTES_MAX 4

/* What stands at the start of some bytes. */
enum ss_utf8_kind {
    SS_UTF8_WHOLE,   /* a character */
    SS_UTF8_PARTIAL, /* all bytes left: the start of a character whose end has not come */
    SS_UTF8_BROKEN,  /* bytes that can begin no character */
};

/* Looks at the BYTES (1 at least) at TEXT and puts into *LENGTH how many belong to what was found.
 * SS_UTF8_BROKEN covers the "maximal subpart" that one U+FFFD stands for (The Unicode Standard,
 * section 3.9, "U+FFFD Substitution of Maximal Subparts"), as Rust's from_utf8_lossy does. */
enum ss_utf8_kind ss_utf8_scan(const uint8_t *text, size_t bytes, size_t *length);

/* The offset of the first byte that begins no whole character; BYTES if there is none. */
size_t ss_utf8_whole_bytes(const uint8_t *text, size_t bytes);

/* The character at TEXT, its length in *LENGTH. TEXT must be valid UTF-8. */
uint32_t ss_utf8_decode(const uint8_t *text, size_t *length);

/* The character that ends before TEXT[END]; END > 0, TEXT must be valid UTF-8. */
uint32_t ss_utf8_decode_back(const uint8_t *text, size_t end, size_t *length);

/* Writes CHARACTER (no surrogate, at most U+10FFFF) to OUT and returns its length, 1 to 4. */
size_t ss_utf8_encode(uint32_t character, uint8_t *out);

#endif
