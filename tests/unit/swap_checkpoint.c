/* Checkpoint folders: one file or an index of several, and what may be wrong with them. */
#include "tests/unit/swap_checkpoint_files.h"

#include <sys/stat.h>

#include "engine/base/fault.h"
#include "swap/checkpoint/checkpoint.h"

#define ONE(name, dtype, shape, begin, end)                                                      \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end \
    "]}"

static char *folder;
static const float numbers[16] = {1, 2, 3, 4, 5, 6, 7, 8};

static void make(void)
{
    folder = make_folder();
}

static void unmake(void)
{
    remove_folder(folder);
}

TestSuite(checkpoint, .init = make, .fini = unmake);

static void expect_refused(enum ss_status expected, const char *said)
{
    struct ss_checkpoint *checkpoint = 0;
    cr_assert_eq(ss_checkpoint_open(folder, &checkpoint), expected, "%s", ss_status_message());
    cr_assert_null(checkpoint);
    cr_assert(strstr(ss_status_message(), said), "said: %s\nnot: %s", ss_status_message(), said);
}

Test(checkpoint, a_single_file_is_found_and_read)
{
    struct ss_checkpoint *checkpoint;
    struct ss_checkpoint_tensor tensor;
    enum ss_dtype dtype;
    uint32_t rows, columns;
    float got[2];
    write_safetensors(
        folder, "model.safetensors",
        "{" ONE("m", "F32", "[2,3]", "0", "24") "," ONE("v", "BF16", "[4]", "24", "32") "," ONE(
            "i", "I32", "[1]", "32", "36") "," ONE("c", "F32", "[1,1,1]", "36",
                                                   "40") "," ONE("s", "F16", "[]", "40", "42") "}",
        numbers, 42);
    cr_assert_eq(ss_checkpoint_open(folder, &checkpoint), SS_OK, "%s", ss_status_message());
    cr_assert_eq(ss_checkpoint_find(checkpoint, "m", &dtype, &rows, &columns), SS_OK);
    cr_assert(dtype == SS_F32 && rows == 2 && columns == 3);
    cr_assert_eq(ss_checkpoint_find(checkpoint, "v", &dtype, &rows, &columns), SS_OK);
    cr_assert(dtype == SS_BF16 && rows == 1 && columns == 4);
    cr_assert_eq(ss_checkpoint_find(checkpoint, "s", &dtype, &rows, &columns), SS_OK);
    cr_assert(dtype == SS_F16 && rows == 1 && columns == 1);
    cr_assert_eq(ss_checkpoint_find(checkpoint, "i", &dtype, &rows, &columns), SS_UNSUPPORTED);
    cr_assert(strstr(ss_status_message(), "I32"));
    cr_assert_eq(ss_checkpoint_find(checkpoint, "c", &dtype, &rows, &columns), SS_UNSUPPORTED);
    cr_assert_eq(ss_checkpoint_find(checkpoint, "x", &dtype, &rows, &columns), SS_NOT_FOUND);
    cr_assert(strstr(ss_status_message(), folder) && strstr(ss_status_message(), "tensor x"));
    cr_assert_eq(ss_checkpoint_locate(checkpoint, "m", &tensor), SS_OK);
    cr_assert_eq(ss_checkpoint_read(&tensor, 8, got, sizeof got), SS_OK);
    cr_assert(got[0] == 3 && got[1] == 4);
    ss_checkpoint_close(checkpoint);
}

Test(checkpoint, an_index_joins_its_files)
{
    struct ss_checkpoint *checkpoint;
    struct ss_checkpoint_tensor tensor;
    float got;
    write_safetensors(folder, "m-1.safetensors",
                      "{" ONE("b", "F32", "[1]", "0", "4") "," ONE("a", "F32", "[1]", "4", "8") "}",
                      numbers, 8);
    write_safetensors(
        folder, "m-2.safetensors",
        "{" ONE("c", "F32", "[1]", "0", "4") "," ONE("extra", "F32", "[1]", "4", "8") "}",
        numbers + 2, 8);
    write_text(folder, "model.safetensors.index.json",
               "{\"metadata\":{\"total_size\":12},\"weight_map\":{\"c\":\"m-2.safetensors\","
               "\"a\":\"m-1.safetensors\",\"b\":\"m-1.safetensors\"}}");
    cr_assert_eq(ss_checkpoint_open(folder, &checkpoint), SS_OK, "%s", ss_status_message());
    static const struct {
        const char *name;
        float value;
    } cases[] = {{"a", 2}, {"b", 1}, {"c", 3}};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(ss_checkpoint_locate(checkpoint, cases[i].name, &tensor), SS_OK);
        cr_assert_eq(ss_checkpoint_read(&tensor, 0, &got, sizeof got), SS_OK);
        cr_assert_eq(got, cases[i].value);
    }
    cr_assert_eq(ss_checkpoint_locate(checkpoint, "extra", &tensor), SS_NOT_FOUND);
    ss_checkpoint_close(checkpoint);
}

Test(checkpoint, an_empty_folder_says_what_it_lacks)
{
    expect_refused(SS_NOT_FOUND, "neither model.safetensors nor model.safetensors.index.json");
    struct ss_checkpoint *checkpoint = 0;
    cr_assert_eq(ss_checkpoint_open("/nowhere/at/all", &checkpoint), SS_NOT_FOUND);
}

Test(checkpoint, bad_indices_are_refused)
{
    static const struct {
        const char *text;
        const char *said;
    } cases[] = {
        {"", "index.json:"},
        {"{\"weight_map\":{\"a\":\"x\",}}", "index.json:1:"},
        {"[]", "no object \"weight_map\""},
        {"{\"weight_map\":[]}", "no object \"weight_map\""},
        {"{\"weight_map\":{\"a\":7}}", "a does not name a file"},
        {"{\"weight_map\":{\"a\":\"good.safetensors\",\"a\":\"good.safetensors\"}}", "duplicate"},
        {"{\"weight_map\":{\"a\":\"../good.safetensors\"}}", "not the plain name"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "not the plain name"},
        {"{\"weight_map\":{\"a\":\"sub/good.safetensors\"}}", "not the plain name"},
        {"{\"weight_map\":{\"a\":\"..\"}}", "not the plain name"},
        {"{\"weight_map\":{\"a\":\"\"}}", "not the plain name"},
        {"{\"weight_map\":{\"absent\":\"good.safetensors\"}}", "absent is not in good"},
    };
    write_safetensors(folder, "good.safetensors", "{" ONE("a", "F32", "[1]", "0", "4") "}", numbers,
                      4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text(folder, "model.safetensors.index.json", cases[i].text);
        expect_refused(SS_INVALID, cases[i].said);
    }
    write_text(folder, "model.safetensors.index.json",
               "{\"weight_map\":{\"a\":\"good.safetensors\",\"b\":\"missing.safetensors\"}}");
    expect_refused(SS_NOT_FOUND, "missing.safetensors");
    cr_assert(strstr(ss_status_message(), "weight_map: b"));
}

Test(checkpoint, truncated_files_are_refused)
{
    static const char header[] = "{" ONE("a", "F32", "[4]", "0", "16") "}";
    write_safetensors(folder, "model.safetensors", header, numbers, 12);
    expect_refused(SS_INVALID, "is it truncated?");
    write_file(folder, "model.safetensors", "\10\0\0", 3);
    expect_refused(SS_INVALID, "has 3 bytes");
    write_file(folder, "model.safetensors", "\100\0\0\0\0\0\0\0{\"a\"", 12);
    expect_refused(SS_INVALID, "claims 64 bytes, but the file has only 4");
}

Test(checkpoint, a_file_that_shrinks_later_is_an_error)
{
    struct ss_checkpoint *checkpoint;
    struct ss_checkpoint_tensor tensor;
    float got[4];
    char path[300];
    write_safetensors(folder, "model.safetensors", "{" ONE("a", "F32", "[4]", "0", "16") "}",
                      numbers, 16);
    cr_assert_eq(ss_checkpoint_open(folder, &checkpoint), SS_OK);
    cr_assert_eq(ss_checkpoint_locate(checkpoint, "a", &tensor), SS_OK);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    cr_assert_eq(truncate(path, (off_t)tensor.begin + 6), 0);
    cr_assert_eq(ss_checkpoint_read(&tensor, 0, got, sizeof got), SS_IO);
    cr_assert(strstr(ss_status_message(), "the file ends at") &&
              strstr(ss_status_message(), "10 bytes more"));
    ss_checkpoint_close(checkpoint);
}

Test(checkpoint, a_folder_or_pipe_is_no_checkpoint)
{
    char path[300];
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    cr_assert_eq(mkdir(path, 0700), 0);
    expect_refused(SS_INVALID, "not a regular file");
    cr_assert_eq(rmdir(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    expect_refused(SS_INVALID, "not a regular file");
}

Test(checkpoint, planted_faults_are_clean)
{
    static const enum ss_fault_kind kinds[] = {SS_FAULT_ALLOC, SS_FAULT_FILE};
    write_safetensors(folder, "m.safetensors", "{" ONE("a", "F32", "[1]", "0", "4") "}", numbers,
                      4);
    write_text(folder, "model.safetensors.index.json",
               "{\"weight_map\":{\"a\":\"m.safetensors\"}}");
    for (int k = 0; k < 2; k++) {
        bool done = false;
        uint64_t nth = 1;
        for (; !done; nth++) {
            struct ss_checkpoint *checkpoint = 0;
            ss_fault_arm(kinds[k], nth);
            enum ss_status status = ss_checkpoint_open(folder, &checkpoint);
            done = ss_fault_count(kinds[k]) < nth;
            ss_fault_arm(kinds[k], 0);
            cr_assert_eq(status, done ? SS_OK : k == 0 ? SS_NO_MEMORY : SS_IO);
            cr_assert_eq(checkpoint != 0, done);
            if (checkpoint)
                ss_checkpoint_close(checkpoint);
        }
        cr_assert_gt(nth, 4);
    }
}
