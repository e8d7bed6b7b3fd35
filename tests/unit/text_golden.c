/* The tokenizer and the detokenizer against what the `tokenizers` package gave: every file of
 * tests/golden/tokenizers. Its README has the format. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/text/detokenizer.h"
#include "pipeline/text/tokenizer.h"
#include "pipeline/text/utf8.h"

#define FOLDER  "tests/golden/tokenizers"
#define IDS_MAX 8192

/* Goldens of tokenizers that are none of ours, and the word that the refusal must have in it. */
static const struct {
    const char *file, *named;
} unsupported[] = {
    {"features-added-flags-lowercase.json", "Lowercase"},
    {"features-byte-fallback.json", "byte_fallback"},
};

static size_t read_ids(const json_t *list, uint32_t *ids)
{
    size_t count = json_array_size(list);
    cr_assert_leq(count, IDS_MAX);
    for (size_t i = 0; i < count; i++)
        ids[i] = (uint32_t)json_integer_value(json_array_get(list, i));
    return count;
}

static void check_encode(const struct ss_tokenizer *tokenizer, const char *file,
                         const json_t *example, const char *key, bool add_special)
{
    static uint32_t wanted[IDS_MAX], got[IDS_MAX];
    const json_t *text = json_object_get(example, "text");
    const char *name = json_string_value(json_object_get(example, "name"));
    size_t wanted_count = read_ids(json_object_get(example, key), wanted), count;
    enum ss_status status =
        ss_tokenizer_encode(tokenizer, json_string_value(text), json_string_length(text),
                            add_special, got, IDS_MAX, &count);
    cr_assert_eq(status, SS_OK, "%s: %s: %s", file, name, ss_status_message());
    cr_assert_eq(count, wanted_count, "%s: %s: %s: %zu ids, not %zu", file, name, key, count,
                 wanted_count);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(got[i], wanted[i], "%s: %s: %s[%zu] is %u, not %u", file, name, key, i, got[i],
                     wanted[i]);
}

/* Feeds the ids one by one: every text must be whole characters, and all of them the golden. */
static void check_decode(const struct ss_tokenizer *tokenizer, const char *file, const json_t *ids,
                         const json_t *text, bool skip_special)
{
    static uint32_t list[IDS_MAX];
    size_t count = read_ids(ids, list), wanted = json_string_length(text), written = 0;
    size_t step_max = ss_detokenizer_bytes_max(tokenizer);
    char *out = malloc(wanted + step_max * 2 + 1);
    struct ss_detokenizer stream, copy;
    ss_detokenizer_start(&stream, tokenizer, skip_special);
    for (size_t i = 0; i <= count; i++) {
        copy = stream; /* a stream is its bytes: going on with a copy is going on */
        stream = (struct ss_detokenizer){0};
        size_t length = i < count ? ss_detokenizer_push(&copy, list[i], out + written)
                                  : ss_detokenizer_finish(&copy, out + written);
        stream = copy;
        cr_assert_leq(length, step_max);
        cr_assert_eq(ss_utf8_whole_bytes((uint8_t *)out + written, length), length,
                     "%s: id %zu gives part of a character", file, i);
        written += length;
        cr_assert_leq(written, wanted, "%s: \"%s\": more text than there should be", file,
                      json_string_value(text));
    }
    cr_assert_eq(written, wanted, "%s: \"%s\"", file, json_string_value(text));
    cr_assert(memcmp(out, json_string_value(text), wanted) == 0, "%s: \"%s\" became \"%.*s\"", file,
              json_string_value(text), (int)written, out);

    size_t whole;
    cr_assert_eq(
        ss_detokenize(tokenizer, list, count, skip_special, out, wanted + step_max, &whole), SS_OK);
    cr_assert(whole == wanted && memcmp(out, json_string_value(text), wanted) == 0);
    if (wanted > 0)
        cr_assert_eq(ss_detokenize(tokenizer, list, count, skip_special, out, wanted - 1, &whole),
                     SS_FULL);
    free(out);
}

static void check_both_decodes(const struct ss_tokenizer *tokenizer, const char *file,
                               const json_t *example)
{
    const json_t *ids = json_object_get(example, "ids");
    check_decode(tokenizer, file, ids, json_object_get(example, "decoded"), false);
    check_decode(tokenizer, file, ids, json_object_get(example, "decoded_skip"), true);
}

/* The word that must be in the refusal of FILE's tokenizer; null if it is one of ours. */
static const char *refused_word(const char *file)
{
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++)
        if (strcmp(unsupported[i].file, file) == 0)
            return unsupported[i].named;
    return 0;
}

static size_t check_file(const char *file)
{
    char path[512];
    json_error_t error;
    snprintf(path, sizeof path, FOLDER "/%s", file);
    json_t *golden = json_load_file(path, JSON_ALLOW_NUL, &error);
    cr_assert(golden, "%s:%d: %s", path, error.line, error.text);
    struct ss_tokenizer *tokenizer = 0;
    const char *model = json_string_value(json_object_get(golden, "tokenizer"));
    const char *refused = refused_word(file);
    enum ss_status status = ss_tokenizer_open(model, &tokenizer);
    size_t examples = 0;
    if (refused) {
        cr_assert_eq(status, SS_UNSUPPORTED, "%s", model);
        cr_assert(strstr(ss_status_message(), refused), "%s", ss_status_message());
        cr_assert(strstr(ss_status_message(), model), "%s", ss_status_message());
    } else {
        cr_assert_eq(status, SS_OK, "%s", ss_status_message());
        size_t i;
        json_t *example;
        json_array_foreach(json_object_get(golden, "encode"), i, example)
        {
            check_encode(tokenizer, file, example, "ids", true);
            check_encode(tokenizer, file, example, "ids_bare", false);
            check_both_decodes(tokenizer, file, example);
            examples++;
        }
        json_array_foreach(json_object_get(golden, "decode"), i, example)
        {
            check_both_decodes(tokenizer, file, example);
            examples++;
        }
    }
    ss_tokenizer_close(tokenizer);
    json_decref(golden);
    return examples;
}

Test(text_golden, every_file)
{
    DIR *folder = opendir(FOLDER);
    cr_assert(folder, "%s", FOLDER);
    size_t files = 0, examples = 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        size_t length = strlen(entry->d_name);
        if (length < 5 || strcmp(entry->d_name + length - 5, ".json") != 0)
            continue;
        examples += check_file(entry->d_name);
        files++;
    }
    closedir(folder);
    /* An empty folder must not look like a passed test. */
    cr_assert_geq(files, 13);
    cr_assert_geq(examples, 6000);
}

Test(text_golden, token_lookups)
{
    struct ss_tokenizer *tokenizer;
    cr_assert_eq(ss_tokenizer_open("tests/golden/models/llama-tiny/tokenizer.json", &tokenizer),
                 SS_OK);
    uint32_t id = 0, untouched = 77;
    size_t bytes;
    cr_assert_eq(ss_tokenizer_token_id(tokenizer, "<|eot_id|>", &id), SS_OK);
    cr_assert(ss_tokenizer_is_special(tokenizer, id));
    cr_assert_eq(ss_tokenizer_token_id(tokenizer, "<|note|>", &id), SS_OK);
    cr_assert_not(ss_tokenizer_is_special(tokenizer, id));
    cr_assert_eq(ss_tokenizer_token_id(tokenizer, "\u0120t", &id), SS_OK);
    cr_assert_not(ss_tokenizer_is_special(tokenizer, id));
    cr_assert(strncmp(ss_tokenizer_token_bytes(tokenizer, id, &bytes), " t", 2) == 0);
    cr_assert_eq(bytes, 2);
    cr_assert_eq(ss_tokenizer_token_id(tokenizer, "no such token", &untouched), SS_NOT_FOUND);
    cr_assert_eq(untouched, 77);
    cr_assert_eq(ss_tokenizer_vocab_size(tokenizer), 1280);
    cr_assert_not(ss_tokenizer_is_special(tokenizer, 1280));
    ss_tokenizer_token_bytes(tokenizer, UINT32_MAX, &bytes);
    cr_assert_eq(bytes, 0);
    ss_tokenizer_close(tokenizer);
}
