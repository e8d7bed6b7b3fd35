/* Added tokens: texts that are one token wherever they stand, found before anything else is done.
 *
 * Those that are not "normalized" are looked for in the text as it came, the others in what lies
 * between, after its normalization; of several at one place the longest wins. This, and what
 * single_word, lstrip and rstrip mean, is as `tokenizers` has it, its oddities included: a match
 * whose words run on is passed over, but what begins inside it is not looked at again; white space
 * that an rstrip took may still begin the next match. */
#ifndef SS_PIPELINE_TEXT_ADDED_TOKENS_H
#define SS_PIPELINE_TEXT_ADDED_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "pipeline/text/json_place.h"
#include "pipeline/text/vocabulary.h"

struct ss_added_token {
    uint32_t id;
    bool single_word, lstrip, rstrip;
};

struct ss_added_node;

/* A set of texts to look for, as a trie by bytes. */
struct ss_added_trie {
    struct ss_added_node *nodes;
    uint32_t count, room;
    uint32_t first[256]; /* by a text's first byte: its node; 0: none begins with it */
};

struct ss_added_tokens {
    struct ss_added_token *tokens;
    size_t count;
    struct ss_added_trie raw, normalized;
};

/* A part of a text: an added token, or (id SS_NO_TOKEN) what lies between. */
struct ss_added_part {
    size_t start, end;
    uint32_t id;
};

struct ss_added_parts {
    struct ss_added_part *at;
    size_t count, room;
};

/* Reads the "added_tokens" at PLACE (which may be absent) into *OUT and enters them in *VOCABULARY,
 * which holds the model's. NFC: the normalizer is NFC and not nothing. */
SS_MUST_CHECK enum ss_status ss_added_tokens_load(const struct ss_json_place *place, bool nfc,
                                                  struct ss_vocabulary *vocabulary,
                                                  struct ss_added_tokens *out);
void ss_added_tokens_free(struct ss_added_tokens *tokens);

/* Puts the parts of the BYTES of valid UTF-8 at TEXT into *PARTS, by the texts in TRIE. */
SS_MUST_CHECK enum ss_status ss_added_tokens_split(const struct ss_added_tokens *tokens,
                                                   const struct ss_added_trie *trie,
                                                   const uint8_t *text, size_t bytes,
                                                   struct ss_added_parts *parts);

/* Adds the text of tokens[TOKEN]; of two equal texts, the first stands. */
SS_MUST_CHECK enum ss_status ss_added_trie_add(struct ss_added_trie *trie, const uint8_t *text,
                                               size_t bytes, uint32_t token);

#endif
