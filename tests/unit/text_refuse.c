/* Broken and unsupported tokenizer.json files: each is refused with the file, the place and what is
 * wrong there. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/random.h"
#include "pipeline/text/tokenizer.h"

#define GOOD "tests/golden/tokenizers/features/merges-pairs/tokenizer.json"

/* One edit of the good file, and what is to come of it. */
struct edit {
    const char *place; /* members and indices, with dots between */
    const char *value; /* JSON; null: the member is deleted */
    enum ss_status status;
    const char *says; /* SS_OK: not looked at */
};

static json_t *load_good(void)
{
    json_error_t error;
    json_t *good = json_load_file(GOOD, 0, &error);
    cr_assert(good, "%s", error.text);
    return good;
}

static json_t *step(json_t *at, const char *key)
{
    return json_is_array(at) ? json_array_get(at, strtoul(key, 0, 10)) : json_object_get(at, key);
}

static void apply(json_t *root, const struct edit *edit)
{
    char place[128], *key, *next;
    json_t *value = edit->value ? json_loads(edit->value, JSON_DECODE_ANY, 0) : 0;
    cr_assert(value || !edit->value, "%s", edit->value);
    snprintf(place, sizeof place, "%s", edit->place);
    for (key = place; (next = strchr(key, '.')); key = next + 1) {
        *next = '\0';
        root = step(root, key);
        cr_assert(root, "%s", edit->place);
    }
    if (!value)
        cr_assert_eq(json_object_del(root, key), 0);
    else if (json_is_array(root))
        cr_assert_eq(json_array_set_new(root, strtoul(key, 0, 10), value), 0);
    else
        cr_assert_eq(json_object_set_new(root, key, value), 0);
}

static void check(const struct edit *edit)
{
    json_t *root = load_good();
    apply(root, edit);
    char *text = json_dumps(root, JSON_COMPACT);
    struct ss_tokenizer *tokenizer = 0;
    enum ss_status status = ss_tokenizer_open_json("that.json", text, strlen(text), &tokenizer);
    const char *message = ss_status_message();
    cr_assert_eq(status, edit->status, "%s = %s: %s: %s", edit->place,
                 edit->value ? edit->value : "nothing", ss_status_name(status), message);
    if (status) {
        cr_assert_eq(tokenizer, 0);
        cr_assert(strstr(message, "that.json: at ") == message, "%s", message);
        cr_assert(strstr(message, edit->says), "%s = %s: %s", edit->place, edit->value, message);
    }
    ss_tokenizer_close(tokenizer);
    free(text);
    json_decref(root);
}

static void check_all(const struct edit *edits, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(&edits[i]);
}

#define CHECK_ALL(edits) check_all(edits, sizeof(edits) / sizeof(edits)[0])

#define ADDED(id, content, flag)                                                         \
    "[{\"id\":" id ",\"content\":\"" content "\",\"single_word\":false,\"lstrip\":" flag \
    ",\"rstrip\":false,\"normalized\":false,\"special\":true}]"

#define SPLIT(pattern)                                                                           \
    "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":" pattern         \
    ",\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":" \
    "false,\"trim_offsets\":true,\"use_regex\":false}]}"

Test(text_refuse, the_model)
{
    static const struct edit edits[] = {
        {"model.type", "\"BPE\"", SS_OK, ""},
        {"model.type", 0, SS_OK, ""}, /* GPT-2's first file */
        {"model.type", "\"Unigram\"", SS_UNSUPPORTED, "at model.type: found \"Unigram\""},
        {"model.type", "7", SS_UNSUPPORTED, "at model.type: found 7"},
        {"model.dropout", "0.0", SS_OK, ""},
        {"model.dropout", "0.1", SS_UNSUPPORTED, "at model.dropout: found 0.1"},
        {"model.byte_fallback", "true", SS_UNSUPPORTED, "at model.byte_fallback"},
        {"model.byte_fallback", "1", SS_INVALID, "true or false"},
        {"model.continuing_subword_prefix", "\"\"", SS_OK, ""},
        {"model.continuing_subword_prefix", "\"##\"", SS_UNSUPPORTED, "found \"##\""},
        {"model.end_of_word_suffix", "\"</w>\"", SS_UNSUPPORTED, "found \"</w>\""},
        {"model.unk_token", "\"none\"", SS_OK, ""}, /* never needed: every byte has a token */
        {"model.unk_token", "[]", SS_INVALID, "at model.unk_token"},
        {"model.vocab", "[]", SS_INVALID, "at model.vocab: found an array of 0"},
        {"model.vocab", 0, SS_INVALID, "at model.vocab: found nothing"},
        {"model.vocab.hello", "-1", SS_INVALID, "at model.vocab.hello: found -1"},
        {"model.vocab.hello", "4194304", SS_INVALID, "found 4194304"},
        {"model.vocab.hello", "1.5", SS_INVALID, "found 1.5"},
        {"model.vocab.hello", "null", SS_INVALID, "at model.vocab.hello: found nothing"},
        {"model.vocab.hello", "0", SS_INVALID, "id 0 is that of"},
        {"model.vocab.hello", 0, SS_INVALID, "\"hello\" is not in the vocabulary"},
        {"model.merges", "{}", SS_INVALID, "at model.merges"},
        {"model.merges", 0, SS_INVALID, "at model.merges: found nothing"},
        {"model.merges.0", "\"#version: 0.2\"", SS_OK, ""},
        {"model.merges.3", "\"h  e\"", SS_INVALID, "at model.merges[3]: found \"h  e\""},
        {"model.merges.3", "\"he\"", SS_INVALID, "at model.merges[3]"},
        {"model.merges.3", "[\"h\"]", SS_INVALID, "at model.merges[3]: found an array of 1"},
        {"model.merges.3", "[\"h\",1]", SS_INVALID, "at model.merges[3]"},
        {"model.merges.3", "[\"h\",\"zz\"]", SS_INVALID, "\"zz\" is not in the vocabulary"},
        {"model.merges.3", "[\"z\",\"z\"]", SS_INVALID, "\"zz\" is not in the vocabulary"},
        {"model.merges.3", "null", SS_INVALID, "at model.merges[3]: found nothing"},
        {"model", "\"BPE\"", SS_INVALID, "at model: found \"BPE\""},
        {"model", 0, SS_INVALID, "at model: found nothing"},
    };
    CHECK_ALL(edits);
}

Test(text_refuse, the_other_parts)
{
    static const struct edit edits[] = {
        {"version", "\"2.0\"", SS_UNSUPPORTED, "at version: found \"2.0\""},
        {"truncation", "{\"max_length\":5}", SS_UNSUPPORTED, "at truncation"},
        {"padding", "{\"pad_id\":5}", SS_UNSUPPORTED, "at padding"},
        {"normalizer", "{\"type\":\"NFC\"}", SS_OK, ""},
        {"normalizer", "{\"type\":\"Sequence\",\"normalizers\":[]}", SS_OK, ""},
        {"normalizer", "{\"type\":\"NFKC\"}", SS_UNSUPPORTED, "at normalizer: found type \"NFKC\""},
        {"normalizer", "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Strip\"}]}",
         SS_UNSUPPORTED, "at normalizer.normalizers[0]: found type \"Strip\""},
        {"normalizer", "{\"type\":\"Sequence\"}", SS_INVALID, "at normalizer.normalizers"},
        {"normalizer", "{\"type\":\"Sequence\",\"normalizers\":[null]}", SS_INVALID,
         "at normalizer.normalizers[0]"},
        {"normalizer", "[]", SS_INVALID, "at normalizer"},
        {"decoder", "null", SS_UNSUPPORTED, "at decoder"},
        {"decoder", "{\"type\":\"WordPiece\"}", SS_UNSUPPORTED, "found type \"WordPiece\""},
        {"decoder", "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteLevel\"}]}", SS_OK, ""},
        {"decoder", "{\"type\":\"Sequence\",\"decoders\":[]}", SS_UNSUPPORTED, "an array of 0"},
        {"post_processor", "{\"type\":\"ByteLevel\"}", SS_OK, ""},
        {"post_processor", "{\"type\":\"BertProcessing\"}", SS_UNSUPPORTED, "\"BertProcessing\""},
        {"post_processor",
         "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"B\"}}]}",
         SS_UNSUPPORTED, "at post_processor.single[0].Sequence.id: found \"B\""},
        {"post_processor", "{\"type\":\"TemplateProcessing\",\"single\":[]}", SS_UNSUPPORTED,
         "sequence \"A\", is missing"},
        {"post_processor",
         "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},"
         "{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{}}",
         SS_INVALID, "special_tokens does not define it"},
        {"post_processor",
         "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},"
         "{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"<s>\":{\"ids\":[70000]}}}",
         SS_INVALID, "no token has id 70000"},
        {"added_tokens", "{}", SS_INVALID, "at added_tokens: found an object"},
        {"added_tokens", "[7]", SS_INVALID, "at added_tokens[0]: found 7"},
        {"added_tokens", ADDED("277", "<s>", "false"), SS_OK, ""},
        {"added_tokens", ADDED("277", "", "false"), SS_INVALID, "0 bytes"},
        {"added_tokens", ADDED("277", "<s>", "0"), SS_INVALID, "at added_tokens[0].lstrip"},
        {"added_tokens", ADDED("5000", "<s>", "false"), SS_INVALID, "has id 5000 here"},
        {"added_tokens", ADDED("277", "hello", "false"), SS_INVALID, "in the model it has"},
    };
    CHECK_ALL(edits);
}

Test(text_refuse, the_pre_tokenizer)
{
    static const struct edit edits[] = {
        {"pre_tokenizer", "null", SS_UNSUPPORTED, "at pre_tokenizer: found nothing"},
        {"pre_tokenizer", "{\"type\":\"Whitespace\"}", SS_UNSUPPORTED, "\"Whitespace\""},
        {"pre_tokenizer", "{\"type\":\"Digits\",\"individual_digits\":true}", SS_UNSUPPORTED,
         "needs a ByteLevel in it"},
        {"pre_tokenizer", "{\"type\":\"ByteLevel\"}", SS_INVALID,
         "at pre_tokenizer.add_prefix_space"},
        {"pre_tokenizer",
         "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\",\"add_prefix_space\":"
         "false},{\"type\":\"Digits\",\"individual_digits\":true}]}",
         SS_UNSUPPORTED, "at pre_tokenizer.pretokenizers[1]: found type \"Digits\"; nothing may"},
        {"pre_tokenizer", SPLIT("{\"Regex\":\"\\\\p{L}+\"}"), SS_OK, ""},
        {"pre_tokenizer", SPLIT("{\"String\":\" \"}"), SS_OK, ""},
        {"pre_tokenizer", SPLIT("{\"String\":\"\"}"), SS_UNSUPPORTED, "the pattern is empty"},
        {"pre_tokenizer", SPLIT("{\"Glob\":\"*\"}"), SS_INVALID, "a pattern is"},
        {"pre_tokenizer", SPLIT("{\"Regex\":\"a(b\"}"), SS_INVALID, "does not compile"},
        {"pre_tokenizer", SPLIT("{\"Regex\":\"\\\\bx\"}"), SS_UNSUPPORTED, "has \"\\b\" at byte 0"},
        {"pre_tokenizer", SPLIT("{\"Regex\":\"x\\\\w\"}"), SS_UNSUPPORTED, "has \"\\w\" at byte 1"},
        {"pre_tokenizer", SPLIT("{\"Regex\":\"\\\\p{Han}\"}"), SS_UNSUPPORTED, "\\p{Han}"},
        {"pre_tokenizer", SPLIT("{\"Regex\":\"\\\\p{L\"}"), SS_UNSUPPORTED, "closing }"},
        {"pre_tokenizer", SPLIT("{\"Regex\":\"[a&&b]\"}"), SS_UNSUPPORTED, "&&"},
        {"pre_tokenizer", SPLIT("{\"Regex\":\"[[:alpha:]]\"}"), SS_UNSUPPORTED, "byte 1"},
        {"pre_tokenizer", SPLIT("{\"Regex\":\"[^\\\\S]\"}"), SS_UNSUPPORTED, "\\S"},
        {"pre_tokenizer", SPLIT("{\"Regex\":\"^a\"}"), SS_UNSUPPORTED, "anchors"},
        {"pre_tokenizer", SPLIT("{\"Regex\":\"(?x) a\"}"), SS_UNSUPPORTED, "(?x"},
        {"pre_tokenizer", SPLIT("{\"Regex\":\"a{,3}\"}"), SS_UNSUPPORTED, "byte 1"},
        {"pre_tokenizer", SPLIT("{\"Regex\":\"a{2}+\"}"), SS_UNSUPPORTED, "possessive"},
        {"pre_tokenizer", SPLIT("{\"Regex\":\"(?i:ss)\"}"), SS_UNSUPPORTED, "single letter"},
        {"pre_tokenizer", SPLIT("{\"Regex\":\"(?i:\\u00e9)\"}"), SS_UNSUPPORTED, "ASCII"},
        {"pre_tokenizer", SPLIT("{\"Regex\":\"a\\\\\"}"), SS_UNSUPPORTED, "nothing follows"},
    };
    CHECK_ALL(edits);
}

/* Sequences that contain one another deeply must end in a message, not in the stack's end. */
Test(text_refuse, deep_nesting)
{
    static const char *const kinds[][3] = {
        {"pre_tokenizer", "pretokenizers", "nest deeper"},
        {"normalizer", "normalizers", "nest deeper"},
        {"post_processor", "processors", "nest deeper"},
        {"decoder", "decoders", "nest deeper"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char value[4096] = "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}";
        for (int depth = 0; depth < 40; depth++) {
            char outer[4096];
            snprintf(outer, sizeof outer, "{\"type\":\"Sequence\",\"%s\":[%.3900s]}", kinds[i][1],
                     value);
            memcpy(value, outer, sizeof value);
        }
        check(&(struct edit){kinds[i][0], value, SS_UNSUPPORTED, kinds[i][2]});
    }
    char *deep = malloc(200001);
    struct ss_tokenizer *tokenizer = 0;
    memset(deep, '[', 200000);
    cr_assert_eq(ss_tokenizer_open_json("deep", deep, 200000, &tokenizer), SS_INVALID);
    free(deep);
}

Test(text_refuse, files)
{
    struct ss_tokenizer *tokenizer = 0;
    cr_assert_eq(ss_tokenizer_open("/no/such/tokenizer.json", &tokenizer), SS_NOT_FOUND);
    cr_assert(strstr(ss_status_message(), "/no/such/tokenizer.json"));
    cr_assert_eq(ss_tokenizer_open("tests", &tokenizer), SS_INVALID);
    cr_assert_eq(ss_tokenizer_open_json("f", "", 0, &tokenizer), SS_INVALID);
    cr_assert_eq(ss_tokenizer_open_json("f", "{\"a\":1,\n\"a\":2}", 14, &tokenizer), SS_INVALID);
    cr_assert(strstr(ss_status_message(), "f:2:"), "%s", ss_status_message());
    cr_assert_eq(ss_tokenizer_open_json("f", "[]", 2, &tokenizer), SS_INVALID);
    cr_assert_eq(tokenizer, 0);
}

/* The good file cut off anywhere, and with random bytes changed: an error or a tokenizer that
 * works, and nothing else. */
Test(text_refuse, damaged_files)
{
    json_t *good = load_good();
    char *text = json_dumps(good, JSON_COMPACT);
    size_t bytes = strlen(text);
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct ss_tokenizer *tokenizer = 0;
        char *damaged = strdup(text);
        size_t length = seed % 2 ? bytes : ss_random_u64(seed, 0) % bytes;
        for (uint64_t i = 0; seed % 2 && i < 1 + seed % 7; i++)
            damaged[ss_random_u64(seed, 2 * i + 1) % bytes] = (char)ss_random_u64(seed, 2 * i + 2);
        enum ss_status status = ss_tokenizer_open_json("damaged", damaged, length, &tokenizer);
        free(damaged);
        if (status) {
            cr_assert(strstr(ss_status_message(), "damaged:") == ss_status_message());
            continue;
        }
        uint32_t ids[64];
        size_t count;
        cr_assert_eq(
            ss_tokenizer_encode(tokenizer, " hello world \xc3\xa9", 15, true, ids, 64, &count),
            SS_OK);
        ss_tokenizer_close(tokenizer);
    }
    free(text);
    json_decref(good);
}
