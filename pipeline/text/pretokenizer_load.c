#include "pipeline/text/pretokenizer.h"

#include <string.h>

/* Nested Sequences beyond this are refused. */
#define DEPTH_MAX 4

/* GPT-2's split, which ByteLevel has built in (encoder.py of OpenAI's GPT-2, 2019). */
static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static enum ss_status add_step(const struct ss_json_place *place, struct ss_pretokenizer *out,
                               struct ss_pretokenizer_step **step)
{
    if (out->count == SS_PRETOKENIZER_STEPS_MAX)
        return ss_json_fail(SS_UNSUPPORTED, place, "more than %d pre-tokenizer steps",
                            SS_PRETOKENIZER_STEPS_MAX);
    *step = &out->steps[out->count++];
    return SS_OK;
}

/* Adds a Split by TEXT. */
static enum ss_status add_split(const struct ss_json_place *place, const char *text, bool literal,
                                enum ss_split_behaviour behaviour, bool invert,
                                struct ss_pretokenizer *out)
{
    struct ss_pretokenizer_step *step = 0;
    enum ss_status status = add_step(place, out, &step);
    if (status)
        return status;
    step->kind = SS_STEP_SPLIT;
    step->behaviour = behaviour;
    step->invert = invert;
    status = ss_split_pattern_create(text, literal, &step->pattern);
    if (status == SS_UNSUPPORTED || status == SS_INVALID)
        return ss_json_fail(status, place, "%s", ss_status_message());
    return status;
}

static enum ss_status load_byte_level(const struct ss_json_place *place,
                                      struct ss_pretokenizer *out)
{
    bool prefix_space, use_regex;
    struct ss_json_place member;
    enum ss_status status = ss_json_member(place, "add_prefix_space", &member);
    if (!status)
        status = ss_json_bool(&member, &prefix_space);
    if (!status)
        status = ss_json_bool_or(place, "use_regex", true, &use_regex);
    if (status)
        return status;
    out->has_byte_level = true;
    if (prefix_space) {
        struct ss_pretokenizer_step *step = 0;
        status = add_step(place, out, &step);
        if (status)
            return status;
        step->kind = SS_STEP_PREFIX_SPACE;
    }
    if (use_regex)
        status = add_split(place, gpt2_pattern, false, SS_SPLIT_ISOLATED, false, out);
    return status;
}

static enum ss_status load_behaviour(const struct ss_json_place *place,
                                     enum ss_split_behaviour *behaviour)
{
    static const char *const names[] = {
        [SS_SPLIT_REMOVED] = "Removed",
        [SS_SPLIT_ISOLATED] = "Isolated",
        [SS_SPLIT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
        [SS_SPLIT_MERGED_WITH_NEXT] = "MergedWithNext",
        [SS_SPLIT_CONTIGUOUS] = "Contiguous",
    };
    const char *name;
    enum ss_status status = ss_json_string(place, &name);
    if (status)
        return status;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *behaviour = (enum ss_split_behaviour)i;
            return SS_OK;
        }
    }
    return ss_json_refuse(SS_UNSUPPORTED, place,
                          "a behavior is Removed, Isolated, MergedWithPrevious, MergedWithNext "
                          "or Contiguous");
}

static enum ss_status load_split(const struct ss_json_place *place, struct ss_pretokenizer *out)
{
    struct ss_json_place pattern, text_place, member;
    enum ss_split_behaviour behaviour = SS_SPLIT_REMOVED;
    bool invert = false, literal = false;
    const char *text;
    enum ss_status status = ss_json_member(place, "behavior", &member);
    if (!status)
        status = load_behaviour(&member, &behaviour);
    if (!status)
        status = ss_json_member(place, "invert", &member);
    if (!status)
        status = ss_json_bool(&member, &invert);
    if (!status)
        status = ss_json_member(place, "pattern", &pattern);
    if (!status)
        status = ss_json_member(&pattern, "Regex", &text_place);
    if (!status && !text_place.value) {
        literal = true;
        status = ss_json_member(&pattern, "String", &text_place);
    }
    if (!status && !text_place.value)
        return ss_json_refuse(SS_INVALID, &pattern,
                              "a pattern is {\"Regex\": ...} or {\"String\": ...}");
    if (!status)
        status = ss_json_string(&text_place, &text);
    if (status)
        return status;
    if (text[0] == '\0')
        return ss_json_fail(SS_UNSUPPORTED, &text_place, "the pattern is empty");
    return add_split(&text_place, text, literal, behaviour, invert, out);
}

static enum ss_status load_digits(const struct ss_json_place *place, struct ss_pretokenizer *out)
{
    struct ss_json_place member;
    bool individual;
    enum ss_status status = ss_json_member(place, "individual_digits", &member);
    if (!status)
        status = ss_json_bool(&member, &individual);
    struct ss_pretokenizer_step *step = 0;
    if (!status)
        status = add_step(place, out, &step);
    if (status)
        return status;
    step->kind = SS_STEP_DIGITS;
    step->behaviour = individual ? SS_SPLIT_ISOLATED : SS_SPLIT_CONTIGUOUS;
    return SS_OK;
}

static enum ss_status load(const struct ss_json_place *place, int depth,
                           struct ss_pretokenizer *out)
{
    const char *type;
    enum ss_status status = ss_json_type(place, &type);
    if (status)
        return status;
    if (out->has_byte_level)
        return ss_json_refuse(SS_UNSUPPORTED, place, "nothing may follow ByteLevel");
    if (strcmp(type, "ByteLevel") == 0)
        return load_byte_level(place, out);
    if (strcmp(type, "Split") == 0)
        return load_split(place, out);
    if (strcmp(type, "Digits") == 0)
        return load_digits(place, out);
    if (strcmp(type, "Sequence") != 0)
        return ss_json_refuse(SS_UNSUPPORTED, place,
                              "supported are ByteLevel, Split, Digits and Sequence");
    if (depth == DEPTH_MAX)
        return ss_json_fail(SS_UNSUPPORTED, place, "Sequences nest deeper than %d", DEPTH_MAX);

    struct ss_json_place list, element;
    size_t count = 0;
    status = ss_json_member(place, "pretokenizers", &list);
    if (!status)
        status = ss_json_array(&list, &count);
    for (size_t i = 0; i < count && !status; i++) {
        ss_json_element(&list, i, &element);
        status = load(&element, depth + 1, out);
    }
    return status;
}

enum ss_status ss_pretokenizer_load(const struct ss_json_place *place, struct ss_pretokenizer *out)
{
    struct ss_pretokenizer made = {.count = 0};
    enum ss_status status =
        place->value ? load(place, 0, &made)
                     : ss_json_refuse(SS_UNSUPPORTED, place, "byte-level BPE needs a ByteLevel");
    if (!status && !made.has_byte_level)
        status = ss_json_refuse(SS_UNSUPPORTED, place, "byte-level BPE needs a ByteLevel in it");
    if (status) {
        ss_pretokenizer_free(&made);
        return status;
    }
    *out = made;
    return SS_OK;
}
