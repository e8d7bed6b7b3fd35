#include "pipeline/text/added_tokens.h"

#include <string.h>

#include "engine/base/memory.h"
#include "pipeline/text/nfc.h"
#include "pipeline/text/tokenizer.h"

/* One element of the list while it is read. */
struct entry {
    const char *content;
    size_t length;
    uint32_t id;
    bool special, normalized;
    struct ss_added_token token;
};

static enum ss_status read_flag(const struct ss_json_place *place, const char *key, bool *flag)
{
    struct ss_json_place member;
    enum ss_status status = ss_json_member(place, key, &member);
    return status ? status : ss_json_bool(&member, flag);
}

static enum ss_status read_entry(const struct ss_json_place *place, struct entry *entry)
{
    struct ss_json_place member;
    enum ss_status status = ss_json_member(place, "content", &member);
    if (!status)
        status = ss_json_string(&member, &entry->content);
    if (status)
        return status;
    entry->length = strlen(entry->content);
    if (entry->length == 0 || entry->length > SS_TOKEN_BYTES_MAX)
        return ss_json_fail(SS_INVALID, &member, "the token has %zu bytes; it can have 1 to %u",
                            entry->length, SS_TOKEN_BYTES_MAX);
    status = ss_json_member(place, "id", &member);
    if (!status)
        status = ss_json_id(&member, &entry->id);
    if (!status)
        status = read_flag(place, "special", &entry->special);
    if (!status)
        status = read_flag(place, "normalized", &entry->normalized);
    if (!status)
        status = read_flag(place, "single_word", &entry->token.single_word);
    if (!status)
        status = read_flag(place, "lstrip", &entry->token.lstrip);
    if (!status)
        status = read_flag(place, "rstrip", &entry->token.rstrip);
    entry->token.id = entry->id;
    return status;
}

/* Gives the token its id, as `tokenizers` would: the model's if it has the text, else the next one
 * behind all. A file that says otherwise would be read differently there. */
static enum ss_status enter(const struct ss_json_place *place, const struct entry *entry,
                            uint32_t *next_id, struct ss_vocabulary *vocabulary)
{
    uint32_t known = ss_vocabulary_find(vocabulary, entry->content, entry->length);
    uint32_t id = known == SS_NO_TOKEN ? *next_id : known;
    if (known != SS_NO_TOKEN && vocabulary->tokens[known].flags & SS_TOKEN_ADDED)
        return ss_json_fail(SS_INVALID, place, "\"%.100s\" was added before", entry->content);
    if (id != entry->id)
        return ss_json_fail(
            SS_INVALID, place, "\"%.100s\" has id %u here, but %s %u", entry->content, entry->id,
            known == SS_NO_TOKEN ? "the next free one is" : "in the model it has", id);
    if (id >= *next_id)
        *next_id = id + 1;
    unsigned flags = SS_TOKEN_ADDED | (entry->special ? SS_TOKEN_SPECIAL : 0u);
    if (known != SS_NO_TOKEN) {
        vocabulary->tokens[id].flags |= (uint8_t)flags;
        return SS_OK;
    }
    if (ss_vocabulary_has(vocabulary, id))
        return ss_json_fail(SS_INVALID, place, "\"%.100s\" has id %u, which the model uses too",
                            entry->content, id);
    return ss_vocabulary_add(vocabulary, entry->content, entry->length, id, flags);
}

/* Adds the text to its trie. A normalized one is its normal form from then on, in decoding too. */
static enum ss_status add_text(const struct entry *entry, bool nfc, uint32_t token,
                               struct ss_vocabulary *vocabulary, struct ss_added_tokens *out)
{
    const uint8_t *text = (const uint8_t *)entry->content;
    size_t bytes = entry->length;
    struct ss_nfc work = {0};
    enum ss_status status = SS_OK;
    if (!entry->normalized)
        return ss_added_trie_add(&out->raw, text, bytes, token);
    if (nfc)
        status = ss_nfc_apply(&work, text, bytes, &text, &bytes);
    if (!status)
        status = ss_vocabulary_respell(vocabulary, entry->token.id, text, bytes);
    if (!status)
        status = ss_added_trie_add(&out->normalized, text, bytes, token);
    ss_nfc_free(&work);
    return status;
}

static enum ss_status load(const struct ss_json_place *place, const struct entry *entries,
                           size_t count, bool nfc, struct ss_vocabulary *vocabulary,
                           struct ss_added_tokens *out)
{
    /* `tokenizers` counts the model's tokens, not their highest id. */
    uint32_t next_id = vocabulary->count;
    struct ss_json_place element;
    enum ss_status status = SS_OK;
    for (size_t i = 0; i < count && !status; i++) {
        ss_json_element(place, i, &element);
        status = enter(&element, &entries[i], &next_id, vocabulary);
        out->tokens[i] = entries[i].token;
    }
    /* Of two that normalize to one text, a special one wins, then the first. */
    for (int special = 1; special >= 0; special--)
        for (size_t i = 0; i < count && !status; i++)
            if (entries[i].special == (special != 0))
                status = add_text(&entries[i], nfc, (uint32_t)i, vocabulary, out);
    return status;
}

enum ss_status ss_added_tokens_load(const struct ss_json_place *place, bool nfc,
                                    struct ss_vocabulary *vocabulary, struct ss_added_tokens *out)
{
    struct ss_added_tokens made = {.tokens = 0};
    struct entry *entries = 0;
    size_t count = 0;
    enum ss_status status = place->value ? ss_json_array(place, &count) : SS_OK;
    if (!status)
        status = ss_alloc(&entries, count, sizeof *entries, "added tokens");
    if (!status)
        status = ss_alloc(&made.tokens, count, sizeof *made.tokens, "added tokens");
    for (size_t i = 0; i < count && !status; i++) {
        struct ss_json_place element;
        ss_json_element(place, i, &element);
        status = read_entry(&element, &entries[i]);
    }
    made.count = count;
    if (!status)
        status = load(place, entries, count, nfc, vocabulary, &made);
    ss_free(entries);
    if (status) {
        ss_added_tokens_free(&made);
        return status;
    }
    *out = made;
    return SS_OK;
}
