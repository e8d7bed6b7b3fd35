#include "pipeline/text/bpe.h"

#include <string.h>

#include "engine/base/memory.h"
#include "pipeline/text/byte_alphabet.h"
#include "pipeline/text/tokenizer.h"
#include "pipeline/text/utf8.h"

/* Member KEY must be absent, or a string without characters. */
static enum ss_status refuse_affix(const struct ss_json_place *place, const char *key)
{
    struct ss_json_place member;
    const char *text = "";
    enum ss_status status = ss_json_member(place, key, &member);
    if (!status && member.value)
        status = ss_json_string(&member, &text);
    if (!status && text[0])
        return ss_json_refuse(SS_UNSUPPORTED, &member, "byte-level BPE has none");
    return status;
}

static enum ss_status load_options(const struct ss_json_place *place, struct ss_bpe *out)
{
    struct ss_json_place member;
    enum ss_status status = ss_json_member(place, "type", &member);
    if (status)
        return status;
    if (member.value &&
        (!json_is_string(member.value) || strcmp(json_string_value(member.value), "BPE") != 0))
        return ss_json_refuse(SS_UNSUPPORTED, &member, "the one supported model is \"BPE\"");

    status = ss_json_member(place, "dropout", &member);
    if (status)
        return status;
    if (member.value && !(json_is_number(member.value) && json_number_value(member.value) == 0))
        return ss_json_refuse(SS_UNSUPPORTED, &member,
                              "encoding must not be random: this can be null or 0");

    status = refuse_affix(place, "continuing_subword_prefix");
    if (!status)
        status = refuse_affix(place, "end_of_word_suffix");
    if (!status)
        status = ss_json_bool_or(place, "fuse_unk", false, &out->fuse_unknown);
    if (!status)
        status = ss_json_bool_or(place, "ignore_merges", false, &out->ignore_merges);

    bool byte_fallback = false;
    if (!status)
        status = ss_json_member(place, "byte_fallback", &member);
    if (!status)
        status = ss_json_bool_or(place, "byte_fallback", false, &byte_fallback);
    if (!status && byte_fallback)
        return ss_json_refuse(SS_UNSUPPORTED, &member,
                              "byte-level BPE has a token for every byte and falls back on none");
    return status;
}

static enum ss_status load_token(const struct ss_json_place *vocab, const char *text, json_t *value,
                                 struct ss_vocabulary *vocabulary)
{
    struct ss_json_place place;
    enum ss_status status = ss_json_member(vocab, text, &place);
    size_t length = strlen(text);
    uint32_t id;
    if (status)
        return status;
    place.value = value; /* found: that a null stands there is a mistake like any other */
    status = ss_json_id(&place, &id);
    if (status)
        return status;
    if (length > SS_TOKEN_BYTES_MAX)
        return ss_json_fail(SS_UNSUPPORTED, &place, "the token has %zu bytes; at most %u can be",
                            length, SS_TOKEN_BYTES_MAX);
    if (ss_vocabulary_has(vocabulary, id)) {
        const struct ss_token *other = &vocabulary->tokens[id];
        return ss_json_fail(SS_INVALID, &place, "id %u is that of \"%.*s\" too", id,
                            (int)(other->text_length < 100 ? other->text_length : 100),
                            (const char *)vocabulary->text + other->text_at);
    }
    return ss_vocabulary_add(vocabulary, text, length, id, SS_TOKEN_MODEL);
}

static enum ss_status load_vocabulary(const struct ss_json_place *place,
                                      struct ss_vocabulary *vocabulary)
{
    struct ss_json_place vocab;
    enum ss_status status = ss_json_member(place, "vocab", &vocab);
    if (status)
        return status;
    if (!json_is_object(vocab.value))
        return ss_json_refuse(SS_INVALID, &vocab, "this should be an object of tokens and ids");
    const char *text;
    json_t *value;
    json_object_foreach(vocab.value, text, value)
    {
        status = load_token(&vocab, text, value, vocabulary);
        if (status)
            return status;
    }
    return SS_OK;
}

/* The two sides of a merge: ["a", "b"], or "a b". */
struct sides {
    const char *left, *right;
    size_t left_length, right_length;
};

static enum ss_status read_sides(const struct ss_json_place *place, struct sides *sides)
{
    static const char right_form[] = "a merge is [\"a\", \"b\"] or \"a b\"";
    if (json_is_string(place->value)) {
        const char *text = json_string_value(place->value);
        const char *space = strchr(text, ' ');
        if (!space || strchr(space + 1, ' '))
            return ss_json_refuse(SS_INVALID, place, right_form);
        *sides = (struct sides){text, space + 1, (size_t)(space - text), strlen(space + 1)};
        return SS_OK;
    }
    json_t *left = json_array_get(place->value, 0), *right = json_array_get(place->value, 1);
    if (json_array_size(place->value) != 2 || !json_is_string(left) || !json_is_string(right))
        return ss_json_refuse(SS_INVALID, place, right_form);
    *sides = (struct sides){json_string_value(left), json_string_value(right),
                            json_string_length(left), json_string_length(right)};
    return SS_OK;
}

static enum ss_status find_side(const struct ss_json_place *place,
                                const struct ss_vocabulary *vocabulary, const char *text,
                                size_t length, uint32_t *id)
{
    *id = ss_vocabulary_find(vocabulary, text, length);
    if (*id == SS_NO_TOKEN)
        return ss_json_fail(SS_INVALID, place, "\"%.*s\" is not in the vocabulary",
                            (int)(length < 200 ? length : 200), text);
    return SS_OK;
}

static enum ss_status load_merge(const struct ss_json_place *place, uint32_t rank,
                                 const struct ss_vocabulary *vocabulary, struct ss_bpe *out)
{
    struct sides sides = {"", "", 0, 0};
    struct ss_merge merge = {.rank = rank};
    enum ss_status status = read_sides(place, &sides);
    if (!status)
        status = find_side(place, vocabulary, sides.left, sides.left_length, &merge.left);
    if (!status)
        status = find_side(place, vocabulary, sides.right, sides.right_length, &merge.right);
    if (status)
        return status;
    /* Both are tokens, so neither is longer than one may be. */
    char both[2 * SS_TOKEN_BYTES_MAX];
    memcpy(both, sides.left, sides.left_length);
    memcpy(both + sides.left_length, sides.right, sides.right_length);
    status =
        find_side(place, vocabulary, both, sides.left_length + sides.right_length, &merge.merged);
    if (!status)
        ss_bpe_merges_put(out, &merge);
    return status;
}

static enum ss_status load_merges(const struct ss_json_place *place,
                                  const struct ss_vocabulary *vocabulary, struct ss_bpe *out)
{
    struct ss_json_place list, element;
    size_t count = 0;
    uint32_t rank = 0;
    enum ss_status status = ss_json_member(place, "merges", &list);
    if (!status)
        status = ss_json_array(&list, &count);
    if (!status)
        status = ss_bpe_merges_create(out, count);
    for (size_t i = 0; i < count && !status; i++) {
        ss_json_element(&list, i, &element);
        /* The first line of a merges.txt, which old files carried over. */
        if (json_is_string(element.value) &&
            strncmp(json_string_value(element.value), "#version", 8) == 0)
            continue;
        status = load_merge(&element, rank++, vocabulary, out);
    }
    return status;
}

static enum ss_status find_bytes(const struct ss_json_place *place,
                                 const struct ss_vocabulary *vocabulary, struct ss_bpe *out)
{
    struct ss_json_place member;
    const char *unknown = 0;
    enum ss_status status = ss_json_member(place, "unk_token", &member);
    if (!status && member.value)
        status = ss_json_string(&member, &unknown);
    if (status)
        return status;
    out->unknown_id =
        unknown ? ss_vocabulary_find(vocabulary, unknown, strlen(unknown)) : SS_NO_TOKEN;
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t letter[SS_UTF8_BYTES_MAX];
        size_t length = ss_utf8_encode(ss_byte_alphabet_char((uint8_t)byte), letter);
        out->byte_ids[byte] = ss_vocabulary_find(vocabulary, (const char *)letter, length);
        if (out->byte_ids[byte] == SS_NO_TOKEN && unknown && out->unknown_id == SS_NO_TOKEN)
            return ss_json_fail(SS_INVALID, &member,
                                "byte 0x%02x has no token, and \"%.100s\", which should stand for "
                                "it, is not in the vocabulary",
                                byte, unknown);
    }
    return SS_OK;
}

enum ss_status ss_bpe_load(const struct ss_json_place *place, struct ss_vocabulary *vocabulary,
                           struct ss_bpe *out)
{
    struct ss_bpe made = {.merges = 0};
    enum ss_status status = load_options(place, &made);
    if (!status)
        status = load_vocabulary(place, vocabulary);
    if (!status)
        status = load_merges(place, vocabulary, &made);
    if (!status)
        status = find_bytes(place, vocabulary, &made);
    if (status) {
        ss_bpe_free(&made);
        return status;
    }
    *out = made;
    return SS_OK;
}
