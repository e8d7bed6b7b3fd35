/* The safetensors header: what is good, and every way to be bad. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "engine/base/fault.h"
#include "swap/checkpoint/safetensors.h"

/* Opens HEADER as that of a file with DATA_BYTES after it. */
static enum ss_status open_header(const char *header, uint64_t data_bytes,
                                  struct ss_safetensors **out)
{
    size_t bytes = strlen(header);
    return ss_safetensors_open("some.safetensors", header, bytes,
                               SS_SAFETENSORS_PREFIX_BYTES + bytes + data_bytes, out);
}

Test(safetensors, a_good_header_is_read)
{
    static const char text[] =
        "{\"b\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[4,16]},"
        "\"__metadata__\":{\"format\":\"pt\"},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
        "\"empty\":{\"dtype\":\"I64\",\"shape\":[0,7],\"data_offsets\":[16,16]},"
        "\"packed\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[16,18],\"new\":1}}     ";
    struct ss_safetensors *header;
    cr_assert_eq(open_header(text, 18, &header), SS_OK, "%s", ss_status_message());
    cr_assert_eq(header->count, 4);
    const struct ss_safetensors_tensor *a = ss_safetensors_find(header, "a");
    const struct ss_safetensors_tensor *b = ss_safetensors_find(header, "b");
    cr_assert_eq(a->begin, SS_SAFETENSORS_PREFIX_BYTES + sizeof text - 1);
    cr_assert_eq(a->bytes, 4);
    cr_assert_eq(a->shape_count, 0);
    cr_assert_str_eq(a->dtype, "F32");
    cr_assert_eq(b->begin, a->begin + 4);
    cr_assert(b->shape_count == 2 && b->shape[0] == 2 && b->shape[1] == 3);
    cr_assert_eq(ss_safetensors_find(header, "empty")->bytes, 0);
    cr_assert_null(ss_safetensors_find(header, "c"));
    cr_assert_null(ss_safetensors_find(header, "__metadata__"));
    ss_safetensors_close(header);
}

Test(safetensors, no_tensors_is_fine)
{
    struct ss_safetensors *header;
    cr_assert_eq(open_header("{}", 0, &header), SS_OK);
    cr_assert_null(ss_safetensors_find(header, "a"));
    ss_safetensors_close(header);
    cr_assert_eq(open_header("{}", 1, &header), SS_INVALID);
}

#define TENSOR(name, shape, begin, end) \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

Test(safetensors, bad_headers_are_refused_by_name)
{
    static const struct {
        const char *header;
        uint64_t data_bytes;
        const char *said;
    } cases[] = {
        {"", 0, "begin with '{'"},
        {" {}", 0, "begin with '{'"},
        {"[]", 0, "begin with '{'"},
        {"{", 0, "header byte"},
        {"{} x", 0, "header byte"},
        {"{\"a\":1}", 0, "tensor a is an integer"},
        {"{\"a\":null}", 0, "tensor a is null"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is an array"},
        {"{\"__metadata__\":{\"k\":1}}", 0, "__metadata__: k is an integer"},
        {"{" TENSOR("a", "[1]", "0", "4") "," TENSOR("a", "[1]", "4", "8") "}", 8, "duplicate"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "a: dtype is nothing"},
        {"{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype \"F33\""},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "a: shape is nothing"},
        {"{" TENSOR("a", "4", "0", "4") "}", 4, "a: shape is an integer"},
        {"{" TENSOR("a", "[-1]", "0", "4") "}", 4, "a: shape holds a negative"},
        {"{" TENSOR("a", "[1.0]", "0", "4") "}", 4, "a: shape holds a real"},
        {"{" TENSOR("a", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, "a: 9 dimensions"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "a: data_offsets is nothing"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "another length"},
        {"{" TENSOR("a", "[1]", "-4", "0") "}", 4, "a: data_offsets holds a negative"},
        {"{" TENSOR("a", "[1]", "4", "0") "}", 4, "a: data_offsets [4, 0] do not lie in order"},
        {"{" TENSOR("a", "[2]", "0", "8") "}", 4, "4 data bytes; is it truncated?"},
        {"{" TENSOR("a", "[2]", "0", "4") "}", 4, "a: data_offsets span 4 bytes, but F32"},
        {"{" TENSOR("a", "[4294967296,4294967296]", "0", "4") "}", 4, "a: the product"},
        {"{" TENSOR("a", "[576460752303423488]", "0", "4") "}", 4, "a: the product"},
        {"{" TENSOR("a", "[99999999999999999999]", "0", "4") "}", 4, "header byte"},
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1, "12 bits"},
        {"{" TENSOR("a", "[1]", "0", "4") "," TENSOR("b", "[1]", "8", "12") "}", 12, "a hole"},
        {"{" TENSOR("a", "[1]", "4", "8") "}", 8, "the start ends at 0: a hole"},
        {"{" TENSOR("a", "[2]", "0", "8") "," TENSOR("b", "[1]", "4", "8") "}", 8, "overlap"},
        {"{" TENSOR("a", "[1]", "0", "4") "}", 5, "end at 4, but the file has 5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ss_safetensors *header = 0;
        cr_assert_eq(open_header(cases[i].header, cases[i].data_bytes, &header), SS_INVALID, "%s",
                     cases[i].header);
        cr_assert_null(header);
        cr_expect(strstr(ss_status_message(), cases[i].said), "%s\n  said: %s\n  not: %s",
                  cases[i].header, ss_status_message(), cases[i].said);
        cr_expect(strstr(ss_status_message(), "some.safetensors"));
    }
}

Test(safetensors, deep_nesting_is_refused)
{
    static char deep[200001];
    struct ss_safetensors *header = 0;
    memset(deep, '[', sizeof deep - 1);
    memcpy(deep, "{\"a\":", 5);
    cr_assert_eq(open_header(deep, 0, &header), SS_INVALID);
    cr_assert_null(header);
}

Test(safetensors, lengths_that_lie_are_refused)
{
    static const unsigned char ten[8] = {10}, huge[8] = {1, 225, 245, 5},
                               all[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    uint64_t bytes = 0;
    cr_assert_eq(ss_safetensors_length("f", ten, 18, &bytes), SS_OK);
    cr_assert_eq(bytes, 10);
    cr_assert_eq(ss_safetensors_length("f", ten, 17, &bytes), SS_INVALID);
    cr_assert(strstr(ss_status_message(), "claims 10 bytes, but the file has only 9"));
    cr_assert_eq(ss_safetensors_length("f", ten, 7, &bytes), SS_INVALID);
    cr_assert_eq(ss_safetensors_length("f", ten, 0, &bytes), SS_INVALID);
    /* 100,000,001 */
    cr_assert_eq(ss_safetensors_length("f", huge, UINT64_MAX, &bytes), SS_INVALID);
    cr_assert_eq(ss_safetensors_length("f", all, UINT64_MAX, &bytes), SS_INVALID);
    cr_assert_eq(bytes, 10);
}

Test(safetensors, out_of_memory_is_clean)
{
    bool done = false;
    uint64_t nth = 1;
    for (; !done; nth++) {
        struct ss_safetensors *header = 0;
        ss_fault_arm(SS_FAULT_ALLOC, nth);
        enum ss_status status = open_header("{" TENSOR("a", "[1]", "0", "4") "}", 4, &header);
        done = ss_fault_count(SS_FAULT_ALLOC) < nth;
        ss_fault_arm(SS_FAULT_ALLOC, 0);
        cr_assert_eq(status, done ? SS_OK : SS_NO_MEMORY);
        if (header)
            ss_safetensors_close(header);
    }
    cr_assert_gt(nth, 2);
}
