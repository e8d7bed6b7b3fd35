#include "pipeline/text/postprocessor.h"

#include <stdbool.h>
#include <string.h>

#define DEPTH_MAX 4

struct loading {
    const struct ss_vocabulary *vocabulary;
    struct ss_postprocessor *out;
    bool has_template;
};

/* Adds the ids of a piece {"SpecialToken": {"id": NAME}} at PLACE, which TOKENS defines. */
static enum ss_status add_special(struct loading *loading, const struct ss_json_place *place,
                                  const struct ss_json_place *tokens, bool behind)
{
    struct ss_json_place name_place, definition, ids, element;
    const char *name;
    size_t count = 0;
    enum ss_status status = ss_json_member(place, "id", &name_place);
    if (!status)
        status = ss_json_string(&name_place, &name);
    if (!status)
        status = ss_json_member(tokens, name, &definition);
    if (!status && !definition.value)
        return ss_json_refuse(SS_INVALID, &name_place, "special_tokens does not define it");
    if (!status)
        status = ss_json_member(&definition, "ids", &ids);
    if (!status)
        status = ss_json_array(&ids, &count);
    struct ss_postprocessor *out = loading->out;
    uint32_t *list = behind ? out->behind : out->before;
    size_t *used = behind ? &out->behind_count : &out->before_count;
    for (size_t i = 0; i < count && !status; i++) {
        uint32_t id;
        ss_json_element(&ids, i, &element);
        status = ss_json_id(&element, &id);
        if (status)
            return status;
        if (!ss_vocabulary_has(loading->vocabulary, id))
            return ss_json_fail(SS_INVALID, &element, "no token has id %u", id);
        if (*used == SS_TEMPLATE_IDS_MAX)
            return ss_json_fail(SS_UNSUPPORTED, place,
                                "the template adds more than %d ids on one side",
                                SS_TEMPLATE_IDS_MAX);
        list[(*used)++] = id;
    }
    return status;
}

/* Takes the piece at PLACE: a special token, or the text, which sets *BEHIND. */
static enum ss_status add_piece(struct loading *loading, const struct ss_json_place *place,
                                const struct ss_json_place *tokens, bool *behind)
{
    struct ss_json_place special, sequence, name;
    enum ss_status status = ss_json_member(place, "SpecialToken", &special);
    if (!status && special.value)
        return add_special(loading, &special, tokens, *behind);
    if (!status)
        status = ss_json_member(place, "Sequence", &sequence);
    if (!status && !sequence.value)
        return ss_json_refuse(SS_INVALID, place,
                              "a piece is {\"SpecialToken\": ...} or {\"Sequence\": ...}");
    if (!status)
        status = ss_json_member(&sequence, "id", &name);
    if (status)
        return status;
    if (*behind || !json_is_string(name.value) || strcmp(json_string_value(name.value), "A") != 0)
        return ss_json_refuse(SS_UNSUPPORTED, &name, "the sequence \"A\" must stand here, once");
    *behind = true;
    return SS_OK;
}

static enum ss_status load_template(struct loading *loading, const struct ss_json_place *place)
{
    if (loading->has_template)
        return ss_json_refuse(SS_UNSUPPORTED, place, "there was a template before");
    loading->has_template = true;
    struct ss_json_place single, tokens, element;
    size_t count = 0;
    bool behind = false;
    enum ss_status status = ss_json_member(place, "single", &single);
    if (!status)
        status = ss_json_array(&single, &count);
    if (!status)
        status = ss_json_member(place, "special_tokens", &tokens);
    for (size_t i = 0; i < count && !status; i++) {
        ss_json_element(&single, i, &element);
        status = add_piece(loading, &element, &tokens, &behind);
    }
    if (!status && !behind)
        return ss_json_refuse(SS_UNSUPPORTED, &single,
                              "the text itself, sequence \"A\", is missing");
    return status;
}

static enum ss_status load(struct loading *loading, const struct ss_json_place *place, int depth)
{
    const char *type;
    enum ss_status status = ss_json_type(place, &type);
    if (status)
        return status;
    if (strcmp(type, "ByteLevel") == 0)
        return SS_OK;
    if (strcmp(type, "TemplateProcessing") == 0)
        return load_template(loading, place);
    if (strcmp(type, "Sequence") != 0)
        return ss_json_refuse(SS_UNSUPPORTED, place,
                              "supported are ByteLevel, TemplateProcessing and Sequence");
    if (depth == DEPTH_MAX)
        return ss_json_fail(SS_UNSUPPORTED, place, "Sequences nest deeper than %d", DEPTH_MAX);
    struct ss_json_place list, element;
    size_t count = 0;
    status = ss_json_member(place, "processors", &list);
    if (!status)
        status = ss_json_array(&list, &count);
    for (size_t i = 0; i < count && !status; i++) {
        ss_json_element(&list, i, &element);
        status = load(loading, &element, depth + 1);
    }
    return status;
}

enum ss_status ss_postprocessor_load(const struct ss_json_place *place,
                                     const struct ss_vocabulary *vocabulary,
                                     struct ss_postprocessor *out)
{
    struct ss_postprocessor made = {.before_count = 0};
    struct loading loading = {.vocabulary = vocabulary, .out = &made};
    enum ss_status status = place->value ? load(&loading, place, 0) : SS_OK;
    if (!status)
        *out = made;
    return status;
}
