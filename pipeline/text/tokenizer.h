/* The tokenizer of a model: text to token ids, and what one needs to go back (detokenizer.h).
 *
 * Reads Hugging Face's tokenizer.json with a byte-level BPE model, as the OPT, GPT-2, Llama 3 and
 * Qwen2 families have it, and gives the ids that PyPI's `tokenizers` gives. Supported:
 *   normalizer      null, NFC, Sequence of these
 *   pre_tokenizer   ByteLevel, last of a Sequence that may hold Split and Digits before it
 *   model           BPE; merges as "a b" or ["a", "b"]; ignore_merges, unk_token, fuse_unk
 *   added_tokens    special, normalized, single_word, lstrip, rstrip
 *   post_processor  null, ByteLevel, TemplateProcessing (its "single" template), Sequence of these
 *   decoder         ByteLevel
 * Everything else that changes ids or text is refused by name. Offsets are not computed.
 *
 * A tokenizer does not change once it is open: any number of threads may use it at once. No call
 * blocks, but for reading the file in ss_tokenizer_open(). */
#ifndef SS_PIPELINE_TEXT_TOKENIZER_H
#define SS_PIPELINE_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define SS_TOKENIZER_FILE_BYTES_MAX (256u << 20) /* of a tokenizer.json */
#define SS_TOKEN_IDS_MAX            (4u << 20)   /* ids are below this */
#define SS_TOKEN_BYTES_MAX          (16u << 10)  /* of one token's text in the file */
#define SS_ENCODE_BYTES_MAX         (4u << 20)   /* of a text to encode */

struct ss_tokenizer;

/* Reads the file at PATH; *OUT is the caller's, for ss_tokenizer_close(). Fails with SS_NOT_FOUND
 * or SS_IO (the file), SS_INVALID (it is broken), SS_UNSUPPORTED (it asks for what is not in the
 * list above) or SS_NO_MEMORY; the message names the file and the place in it. */
SS_MUST_CHECK enum ss_status ss_tokenizer_open(const char *path, struct ss_tokenizer **out);

/* The same from the BYTES at JSON, which are not needed afterwards; NAME stands for the file in
 * messages. */
SS_MUST_CHECK enum ss_status ss_tokenizer_open_json(const char *name, const char *json,
                                                    size_t bytes, struct ss_tokenizer **out);

/* Frees TOKENIZER; null is allowed. */
void ss_tokenizer_close(struct ss_tokenizer *tokenizer);

/* Encodes the BYTES of UTF-8 at TEXT (0 and '\0' are allowed) into IDS, which has room for IDS_MAX,
 * and their number into *COUNT. ADD_SPECIAL puts what the post-processor's template has around them
 * (a bos token, say); special tokens that the text itself spells out become ids in any case.
 *
 * SS_INVALID: TEXT is not UTF-8; the message has the offset of the first wrong byte. SS_FULL: it is
 * longer than SS_ENCODE_BYTES_MAX, or has more than IDS_MAX ids; the message has the numbers. What
 * stands in IDS after a failure means nothing. Takes O(BYTES log BYTES) time at worst. */
SS_MUST_CHECK enum ss_status ss_tokenizer_encode(const struct ss_tokenizer *tokenizer,
                                                 const char *text, size_t bytes, bool add_special,
                                                 uint32_t *ids, size_t ids_max, size_t *count);

/* The highest id plus one. Ids below it may be unused. */
uint32_t ss_tokenizer_vocab_size(const struct ss_tokenizer *tokenizer);

/* The id of the token that the file writes as TOKEN ("<|eot_id|>"; an ordinary token in the byte
 * alphabet's letters: "\u0120the"). SS_NOT_FOUND if there is none. */
SS_MUST_CHECK enum ss_status ss_tokenizer_token_id(const struct ss_tokenizer *tokenizer,
                                                   const char *token, uint32_t *id);

/* Whether ID is an added token marked special. False for ids that no token has. */
bool ss_tokenizer_is_special(const struct ss_tokenizer *tokenizer, uint32_t id);

/* The bytes that ID stands for in decoded text, not always whole characters, and their number in
 * *BYTES; 0 for an id that no token has. Valid while TOKENIZER is open. */
const char *ss_tokenizer_token_bytes(const struct ss_tokenizer *tokenizer, uint32_t id,
                                     size_t *bytes);

/* The length of the longest token, as ss_tokenizer_token_bytes() gives it. */
size_t ss_tokenizer_token_bytes_max(const struct ss_tokenizer *tokenizer);

#endif
