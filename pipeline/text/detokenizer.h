/* Token ids to text, one id at a time.
 *
 * A token is bytes, not characters: what is the start of a character is held back until its rest
 * has come, so that every text handed out is whole UTF-8. Bytes that begin no character come out as
 * U+FFFD. All texts of a stream put together are what `tokenizers` makes of all its ids at once. */
#ifndef SS_PIPELINE_TEXT_DETOKENIZER_H
#define SS_PIPELINE_TEXT_DETOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "pipeline/text/tokenizer.h"

/* One stream. Owns nothing: copy it to try something out, and forget it when done. */
struct ss_detokenizer {
    const struct ss_tokenizer *tokenizer;
    bool skip_special;
    uint8_t held_bytes;
    uint8_t held[4]; /* the start of a character */
};

/* Begins a stream of TOKENIZER, which must stay open. SKIP_SPECIAL: special tokens give no text. */
void ss_detokenizer_start(struct ss_detokenizer *stream, const struct ss_tokenizer *tokenizer,
                          bool skip_special);

/* The most bytes that one ss_detokenizer_push() or ss_detokenizer_finish() can give. */
size_t ss_detokenizer_bytes_max(const struct ss_tokenizer *tokenizer);

/* Takes ID, writes the text that is now certain to OUT, which has room for
 * ss_detokenizer_bytes_max(), and returns its length, maybe 0. Ids that no token has give nothing:
 * the vocabulary of a model may be padded. */
size_t ss_detokenizer_push(struct ss_detokenizer *stream, uint32_t id, char *out);

/* Ends the stream: what is still held back will never be a character. */
size_t ss_detokenizer_finish(struct ss_detokenizer *stream, char *out);

/* Decodes COUNT ids at once into the BYTES_MAX bytes at OUT, their number into *BYTES. SS_FULL: the
 * text is longer; the message has the numbers. */
SS_MUST_CHECK enum ss_status ss_detokenize(const struct ss_tokenizer *tokenizer,
                                           const uint32_t *ids, size_t count, bool skip_special,
                                           char *out, size_t bytes_max, size_t *bytes);

#endif
