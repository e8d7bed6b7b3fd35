/* The tokens of one tokenizer: by text as the file spells them, and by id. */
#ifndef SS_PIPELINE_TEXT_VOCABULARY_H
#define SS_PIPELINE_TEXT_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define SS_NO_TOKEN UINT32_MAX

enum ss_token_flag {
    SS_TOKEN_MODEL = 1,   /* in the model's vocabulary: BPE may produce it */
    SS_TOKEN_ADDED = 2,   /* in added_tokens */
    SS_TOKEN_SPECIAL = 4, /* marked special there */
};

/* A token's spelling in the file, and the bytes that it stands for in decoded text. */
struct ss_token {
    size_t text_at, bytes_at; /* in vocabulary->text and vocabulary->bytes */
    uint32_t text_length, bytes_length;
    uint8_t flags; /* 0: no token has this id */
};

struct ss_vocabulary {
    struct ss_token *tokens; /* by id */
    uint32_t ids_end;        /* the highest id plus one */
    uint32_t tokens_room, count;
    uint8_t *text, *bytes;
    size_t text_used, text_room, bytes_used, bytes_room;
    uint32_t *slots; /* open addressing by text: id + 1, 0 is free */
    size_t slots_count;
    uint32_t bytes_length_max;
};

/* All zero is an empty vocabulary. */
void ss_vocabulary_free(struct ss_vocabulary *vocabulary);

/* Adds TEXT (valid UTF-8) as ID with FLAGS. Neither may be taken; ID < SS_TOKEN_IDS_MAX. */
SS_MUST_CHECK enum ss_status ss_vocabulary_add(struct ss_vocabulary *vocabulary, const char *text,
                                               size_t length, uint32_t id, unsigned flags);

/* Makes the token ID stand for what TEXT spells. */
SS_MUST_CHECK enum ss_status ss_vocabulary_respell(struct ss_vocabulary *vocabulary, uint32_t id,
                                                   const uint8_t *text, size_t length);

/* The id of the token that is spelled TEXT, or SS_NO_TOKEN. */
uint32_t ss_vocabulary_find(const struct ss_vocabulary *vocabulary, const char *text,
                            size_t length);

/* Whether a token has ID. */
bool ss_vocabulary_has(const struct ss_vocabulary *vocabulary, uint32_t id);

#endif
