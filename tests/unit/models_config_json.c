/* Reading keys of a config.json: types, defaults, other keys' values, and what is said of errors.
 */
#include "pipeline/models/config_json.h"

#include "tests/unit/models_folder.h"

struct numbers {
    uint32_t count, other;
    float share;
    bool flag;
};

static enum ss_status read_numbers(const char *text, struct numbers *numbers)
{
    const struct ss_json_key keys[] = {
        SS_JSON_U32("count", &numbers->count, 0),
        SS_JSON_U32("other", &numbers->other, "count"),
        SS_JSON_F32_OR("share", &numbers->share, 0.25),
        SS_JSON_BOOL("flag", &numbers->flag, true),
        {0},
    };
    json_t *json = json_of(text);
    enum ss_status status = ss_json_read(json, "here.json", keys);
    json_decref(json);
    return status;
}

Test(models_config_json, values_are_read)
{
    struct numbers numbers;
    cr_assert_eq(
        read_numbers("{'count': 1, 'other': 16777215, 'share': 3, 'flag': false}", &numbers),
        SS_OK);
    cr_assert_eq(numbers.count, 1);
    cr_assert_eq(numbers.other, 16777215);
    cr_assert_eq(numbers.share, 3.0f);
    cr_assert_eq(numbers.flag, false);
}

Test(models_config_json, missing_and_null_take_defaults)
{
    const char *texts[] = {"{'count': 5}",
                           "{'count': 5, 'other': null, 'share': null, 'flag': null}"};
    for (int i = 0; i < 2; i++) {
        struct numbers numbers = {0};
        cr_assert_eq(read_numbers(texts[i], &numbers), SS_OK);
        cr_assert_eq(numbers.other, 5, "the value of the other key");
        cr_assert_eq(numbers.share, 0.25f);
        cr_assert_eq(numbers.flag, true);
    }
}

Test(models_config_json, wrong_values_are_named)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{}", "here.json: count is missing"},
        {"{'count': null}", "here.json: count is missing"},
        {"{'count': 0}", "here.json: count: found 0, expected a whole number from 1 to 16777215"},
        {"{'count': -3}", "here.json: count: found -3, expected a whole number"},
        {"{'count': 2.5}", "here.json: count: found 2.5, expected a whole number"},
        {"{'count': 16777216}", "here.json: count: found 16777216, expected a whole number"},
        {"{'count': 9223372036854775807}", "here.json: count: found 9223372036854775807"},
        {"{'count': '12'}", "here.json: count: found \"12\", expected a whole number"},
        {"{'count': true}", "here.json: count: found true, expected a whole number"},
        {"{'count': [1]}", "here.json: count: found [1], expected a whole number"},
        {"{'count': 1, 'other': {}}", "here.json: other: found {}, expected a whole number"},
        {"{'count': 1, 'share': '1'}", "here.json: share: found \"1\", expected a number"},
        {"{'count': 1, 'flag': 1}", "here.json: flag: found 1, expected true or false"},
        {"{'count': 1, 'flag': 'true'}", "here.json: flag: found \"true\", expected true or"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct numbers numbers;
        cr_assert_eq(read_numbers(cases[i].text, &numbers), SS_INVALID, "%s", cases[i].text);
        cr_assert_eq(strncmp(ss_status_message(), cases[i].message, strlen(cases[i].message)), 0,
                     "%s: %s", cases[i].text, ss_status_message());
    }
}

Test(models_config_json, a_long_wrong_value_is_cut)
{
    char text[4096];
    struct numbers numbers;
    memset(text, 'x', sizeof text);
    memcpy(text, "{'count': '", 11);
    memcpy(text + sizeof text - 3, "'}", 3);
    cr_assert_eq(read_numbers(text, &numbers), SS_INVALID);
    cr_assert_lt(strlen(ss_status_message()), 200);
    cr_assert(strstr(ss_status_message(), "expected a whole number"));
}

Test(models_config_json, choices)
{
    static const struct ss_json_choice choices[] = {{"relu", 4}, {"gelu", 5}, {0, 0}};
    json_t *json = json_of("{'a': 'gelu', 'b': 'swish', 'c': 7, 'd': null}");
    int out = -1;
    cr_assert_eq(ss_json_choice(json, "f", "a", choices, "relu", &out), SS_OK);
    cr_assert_eq(out, 5);
    cr_assert_eq(ss_json_choice(json, "f", "d", choices, "relu", &out), SS_OK);
    cr_assert_eq(out, 4);
    cr_assert_eq(ss_json_choice(json, "f", "none", choices, "gelu", &out), SS_OK);
    cr_assert_eq(out, 5);
    cr_assert_eq(ss_json_choice(json, "f", "b", choices, "relu", &out), SS_INVALID);
    cr_assert_str_eq(ss_status_message(), "f: b: found \"swish\", expected one of relu gelu");
    cr_assert_eq(ss_json_choice(json, "f", "c", choices, "relu", &out), SS_INVALID);
    cr_assert_str_eq(ss_status_message(), "f: c: found 7, expected one of relu gelu");
    cr_assert_eq(out, 5);
    json_decref(json);
}

Test(models_config_json, ids)
{
    json_t *json = json_of("{'one': 0, 'list': [3, 1, 2], 'none': [], 'null': null, 'minus': -1,"
                           " 'text': 'a', 'mixed': [1, 'a'], 'large': 16777216}");
    int32_t ids[3] = {9, 9, 9};
    int count = -1;
    cr_assert_eq(ss_json_ids(json, "f", "one", 3, ids, &count), SS_OK);
    cr_assert(count == 1 && ids[0] == 0);
    cr_assert_eq(ss_json_ids(json, "f", "list", 3, ids, &count), SS_OK);
    cr_assert(count == 3 && ids[0] == 3 && ids[1] == 1 && ids[2] == 2);
    const char *empty[] = {"none", "null", "missing"};
    for (int i = 0; i < 3; i++) {
        count = -1;
        cr_assert_eq(ss_json_ids(json, "f", empty[i], 3, ids, &count), SS_OK);
        cr_assert_eq(count, 0, "%s", empty[i]);
    }
    cr_assert_eq(ss_json_ids(json, "f", "list", 2, ids, &count), SS_UNSUPPORTED);
    cr_assert_str_eq(ss_status_message(), "f: list has 3 ids, at most 2 are supported");
    const char *bad[] = {"minus", "text", "mixed", "large"};
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(ss_json_ids(json, "f", bad[i], 3, ids, &count), SS_INVALID, "%s", bad[i]);
        cr_assert(strstr(ss_status_message(), "a token id or a list of token ids"));
    }
    json_decref(json);
}

static void refuse_file(const char *text, const char *message)
{
    char *folder = make_folder(), path[300];
    void *root = &root;
    write_text(folder, "config.json", text);
    snprintf(path, sizeof path, "%s/config.json", folder);
    cr_assert_neq(ss_json_open(path, &root), SS_OK);
    cr_assert_eq(root, (void *)&root);
    cr_assert(strstr(ss_status_message(), path), "%s", ss_status_message());
    cr_assert(strstr(ss_status_message(), message), "%s", ss_status_message());
    remove_folder(folder);
}

Test(models_config_json, broken_files)
{
    refuse_file("{\"a\": 1,\n \"b\": }", "config.json:2:");
    refuse_file("{\"a\": 1, \"a\": 2}", "duplicate");
    refuse_file("[1]", "expected a JSON object");
    refuse_file("", "config.json:1:");
    void *root;
    cr_assert_neq(ss_json_open("/nonexistent/config.json", &root), SS_OK);
    cr_assert(strstr(ss_status_message(), "/nonexistent/config.json"));
}
