#include "pipeline/text/vocabulary.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/memory.h"
#include "pipeline/text/byte_alphabet.h"
#include "pipeline/text/tokenizer.h"

/* FNV-1a, 64 bits (Fowler, Noll, Vo), folded. */
static size_t hash(const char *text, size_t length)
{
    uint64_t h = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < length; i++)
        h = (h ^ (uint8_t)text[i]) * 0x100000001b3ull;
    return (size_t)(h ^ h >> 29);
}

void ss_vocabulary_free(struct ss_vocabulary *vocabulary)
{
    ss_free(vocabulary->tokens);
    ss_free(vocabulary->text);
    ss_free(vocabulary->bytes);
    ss_free(vocabulary->slots);
    *vocabulary = (struct ss_vocabulary){0};
}

bool ss_vocabulary_has(const struct ss_vocabulary *vocabulary, uint32_t id)
{
    return id < vocabulary->ids_end && vocabulary->tokens[id].flags;
}

/* The slot that holds TEXT, or the free one where it belongs. */
static size_t slot_of(const struct ss_vocabulary *vocabulary, const char *text, size_t length)
{
    size_t mask = vocabulary->slots_count - 1;
    size_t at = hash(text, length) & mask;
    for (; vocabulary->slots[at]; at = (at + 1) & mask) {
        const struct ss_token *token = &vocabulary->tokens[vocabulary->slots[at] - 1];
        if (token->text_length == length &&
            memcmp(vocabulary->text + token->text_at, text, length) == 0)
            break;
    }
    return at;
}

uint32_t ss_vocabulary_find(const struct ss_vocabulary *vocabulary, const char *text, size_t length)
{
    if (vocabulary->slots_count == 0)
        return SS_NO_TOKEN;
    uint32_t held = vocabulary->slots[slot_of(vocabulary, text, length)];
    return held ? held - 1 : SS_NO_TOKEN;
}

/* Makes room for one more token, with the table at most half full. */
static enum ss_status grow_slots(struct ss_vocabulary *vocabulary)
{
    if (vocabulary->count + 1 <= vocabulary->slots_count / 2)
        return SS_OK;
    size_t slots_count = vocabulary->slots_count ? vocabulary->slots_count * 2 : 1024;
    uint32_t *slots;
    enum ss_status status = ss_alloc(&slots, slots_count, sizeof *slots, "token table");
    if (status)
        return status;
    ss_free(vocabulary->slots);
    vocabulary->slots = slots;
    vocabulary->slots_count = slots_count;
    for (uint32_t id = 0; id < vocabulary->ids_end; id++) {
        const struct ss_token *token = &vocabulary->tokens[id];
        if (token->flags) {
            const char *text = (const char *)vocabulary->text + token->text_at;
            slots[slot_of(vocabulary, text, token->text_length)] = id + 1;
        }
    }
    return SS_OK;
}

static enum ss_status grow_tokens(struct ss_vocabulary *vocabulary, uint32_t id)
{
    if (id < vocabulary->tokens_room)
        return SS_OK;
    uint32_t room = vocabulary->tokens_room ? vocabulary->tokens_room : 1024;
    while (room <= id)
        room *= 2;
    enum ss_status status =
        ss_realloc(&vocabulary->tokens, room, sizeof *vocabulary->tokens, "tokens");
    if (status)
        return status;
    memset(vocabulary->tokens + vocabulary->tokens_room, 0,
           (room - vocabulary->tokens_room) * sizeof *vocabulary->tokens);
    vocabulary->tokens_room = room;
    return SS_OK;
}

static enum ss_status grow_bytes(uint8_t **bytes, size_t used, size_t *room, size_t more)
{
    if (*room - used >= more)
        return SS_OK;
    size_t wanted = *room ? *room : 16384;
    while (wanted - used < more)
        wanted *= 2;
    enum ss_status status = ss_realloc(bytes, wanted, 1, "token texts");
    if (!status)
        *room = wanted;
    return status;
}

enum ss_status ss_vocabulary_respell(struct ss_vocabulary *vocabulary, uint32_t id,
                                     const uint8_t *text, size_t length)
{
    enum ss_status status =
        grow_bytes(&vocabulary->bytes, vocabulary->bytes_used, &vocabulary->bytes_room, length);
    if (status)
        return status;
    struct ss_token *token = &vocabulary->tokens[id];
    token->bytes_at = vocabulary->bytes_used;
    token->bytes_length =
        (uint32_t)ss_byte_alphabet_read(text, length, vocabulary->bytes + vocabulary->bytes_used);
    vocabulary->bytes_used += token->bytes_length;
    if (token->bytes_length > vocabulary->bytes_length_max)
        vocabulary->bytes_length_max = token->bytes_length;
    return SS_OK;
}

enum ss_status ss_vocabulary_add(struct ss_vocabulary *vocabulary, const char *text, size_t length,
                                 uint32_t id, unsigned flags)
{
    SS_ASSERT(id < SS_TOKEN_IDS_MAX && length <= SS_TOKEN_BYTES_MAX && flags);
    SS_ASSERT(!ss_vocabulary_has(vocabulary, id));
    enum ss_status status = grow_slots(vocabulary);
    if (!status)
        status = grow_tokens(vocabulary, id);
    if (!status)
        status =
            grow_bytes(&vocabulary->text, vocabulary->text_used, &vocabulary->text_room, length);
    if (status)
        return status;

    size_t slot = slot_of(vocabulary, text, length);
    SS_ASSERT(!vocabulary->slots[slot]);
    struct ss_token *token = &vocabulary->tokens[id];
    token->flags = (uint8_t)flags;
    token->text_at = vocabulary->text_used;
    token->text_length = (uint32_t)length;
    memcpy(vocabulary->text + vocabulary->text_used, text, length);
    vocabulary->text_used += length;
    vocabulary->slots[slot] = id + 1;
    vocabulary->count++;
    if (id >= vocabulary->ids_end)
        vocabulary->ids_end = id + 1;
    return ss_vocabulary_respell(vocabulary, id, (const uint8_t *)text, length);
}
