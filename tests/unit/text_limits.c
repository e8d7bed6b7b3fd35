/* What a tokenizer must stand: hostile lengths in sane time, wrong bytes, too little room, many
 * threads, and memory that runs out anywhere. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/fault.h"
#include "pipeline/text/detokenizer.h"
#include "pipeline/text/tokenizer.h"

static const char *const models[] = {
    "tests/golden/models/opt-tiny/tokenizer.json",
    "tests/golden/models/llama-tiny/tokenizer.json",
    "tests/golden/models/qwen2-tiny/tokenizer.json",
};
#define MODELS 3

static struct ss_tokenizer *open_model(size_t model)
{
    struct ss_tokenizer *tokenizer;
    cr_assert_eq(ss_tokenizer_open(models[model], &tokenizer), SS_OK, "%s", ss_status_message());
    return tokenizer;
}

/* Texts of a megabyte that make a careless tokenizer quadratic. Linear takes some 0.05 s; the bound
 * leaves room for sanitizers on a busy machine, a quadratic one would need hours. */
Test(text_limits, long_texts_take_linear_time, .timeout = 110)
{
    static const char *const units[] = {
        "a",
        "etaoin",
        " ",
        " \n",
        "\t",
        "1",
        "'",
        "<|",
        "<mask>",
        "the ",
        "\u00a0",
        "\u4f60",
        "\u0301\u0316",
        "e\u0301",
        "\u1112\u1161\u11ab",
        "\U0001F600",
    };
    size_t bytes = 1 << 20;
    char *text = malloc(bytes);
    uint32_t *ids = malloc((bytes + 8) * sizeof *ids);
    for (size_t model = 0; model < MODELS; model++) {
        struct ss_tokenizer *tokenizer = open_model(model);
        for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
            size_t length = strlen(units[u]), used = 0, count;
            while (used + length <= bytes) {
                memcpy(text + used, units[u], length);
                used += length;
            }
            uint64_t start = ss_now_ns();
            cr_assert_eq(ss_tokenizer_encode(tokenizer, text, used, true, ids, bytes + 8, &count),
                         SS_OK, "%s: \"%s\": %s", models[model], units[u], ss_status_message());
            double seconds = (double)(ss_now_ns() - start) / (double)SS_NS_PER_S;
            cr_assert_lt(seconds, 20, "%s: \"%s\" took %.1f s", models[model], units[u], seconds);
            cr_assert_gt(count, 0);
        }
        ss_tokenizer_close(tokenizer);
    }
    free(ids);
    free(text);
}

Test(text_limits, wrong_bytes_are_named)
{
    static const struct {
        const char *text;
        size_t bytes;
        const char *says;
    } cases[] = {
        {"abc\xff", 4, "byte 0xff at offset 3 of 4"},
        {"\x80", 1, "byte 0x80 at offset 0"},
        {"ok \xe2\x82", 5, "byte 0xe2 at offset 3"},
        {"\xc0\x80", 2, "offset 0"},
        {"\xed\xa0\x80", 3, "offset 0"},
        {"\xf4\x90\x80\x80", 4, "offset 0"},
    };
    struct ss_tokenizer *tokenizer = open_model(0);
    uint32_t ids[16];
    size_t count = 99;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(
            ss_tokenizer_encode(tokenizer, cases[i].text, cases[i].bytes, true, ids, 16, &count),
            SS_INVALID);
        cr_assert(strstr(ss_status_message(), cases[i].says), "%s", ss_status_message());
        cr_assert_eq(count, 99);
    }
    ss_tokenizer_close(tokenizer);
}

Test(text_limits, room_is_respected)
{
    struct ss_tokenizer *tokenizer = open_model(0);
    uint32_t ids[9] = {[8] = 4242};
    size_t count = 99;
    const char *text = "(((((((("; /* eight ids and a bos */
    cr_assert_eq(ss_tokenizer_encode(tokenizer, "()()()()", 8, true, ids, 8, &count), SS_FULL);
    cr_assert(strstr(ss_status_message(), "at most 8"), "%s", ss_status_message());
    cr_assert_eq(ids[8], 4242);
    cr_assert_eq(count, 99);
    cr_assert_eq(ss_tokenizer_encode(tokenizer, text, 0, true, ids, 0, &count), SS_FULL);
    cr_assert_eq(ss_tokenizer_encode(tokenizer, text, 0, false, ids, 0, &count), SS_OK);
    cr_assert_eq(count, 0);

    size_t bytes = SS_ENCODE_BYTES_MAX + 1;
    char *huge = calloc(bytes, 1);
    cr_assert_eq(ss_tokenizer_encode(tokenizer, huge, bytes, true, ids, 8, &count), SS_FULL);
    cr_assert(strstr(ss_status_message(), "4194305"), "%s", ss_status_message());
    free(huge);
    ss_tokenizer_close(tokenizer);
}

struct worker {
    const struct ss_tokenizer *tokenizer;
    bool right;
};

static const char threads_text[] = "Permission is hereby granted, free of charge, to any person "
                                   "\u00e9e\u0301 \u4f60\u597d\U0001F600"
                                   "\r\n\t it's 12345 <mask> <|eot_id|> ...";

static void *encode_often(void *argument)
{
    struct worker *worker = argument;
    uint32_t first[256], ids[256];
    size_t first_count, count;
    char text[1024];
    worker->right = !ss_tokenizer_encode(worker->tokenizer, threads_text, sizeof threads_text - 1,
                                         true, first, 256, &first_count);
    for (int i = 0; i < 200 && worker->right; i++) {
        size_t bytes = 0;
        worker->right =
            !ss_tokenizer_encode(worker->tokenizer, threads_text, sizeof threads_text - 1, true,
                                 ids, 256, &count) &&
            count == first_count && memcmp(ids, first, count * sizeof *ids) == 0 &&
            !ss_detokenize(worker->tokenizer, ids, count, false, text, sizeof text, &bytes) &&
            bytes >= sizeof threads_text - 8;
    }
    return 0;
}

Test(text_limits, threads_share_one_tokenizer)
{
    for (size_t model = 0; model < MODELS; model++) {
        struct ss_tokenizer *tokenizer = open_model(model);
        struct worker workers[4];
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) {
            workers[i] = (struct worker){.tokenizer = tokenizer};
            cr_assert_eq(pthread_create(&threads[i], 0, encode_often, &workers[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(threads[i], 0);
            cr_assert(workers[i].right);
        }
        ss_tokenizer_close(tokenizer);
    }
}

/* Fails each allocation in turn: a clean error, no leak, and the next try works. */
Test(text_limits, memory_may_run_out_anywhere)
{
    for (uint64_t nth = 1;; nth++) {
        struct ss_tokenizer *tokenizer = 0;
        ss_fault_arm(SS_FAULT_ALLOC, nth);
        enum ss_status status = ss_tokenizer_open(models[2], &tokenizer);
        if (!status) {
            uint32_t ids[256];
            size_t count;
            status = ss_tokenizer_encode(tokenizer, threads_text, sizeof threads_text - 1, true,
                                         ids, 256, &count);
        }
        uint64_t seen = ss_fault_count(SS_FAULT_ALLOC);
        ss_fault_arm(SS_FAULT_ALLOC, 0);
        ss_tokenizer_close(tokenizer);
        if (seen < nth) {
            cr_assert_eq(status, SS_OK, "%s", ss_status_message());
            cr_assert_gt(nth, 20);
            break;
        }
        cr_assert_eq(status, SS_NO_MEMORY, "allocation %lu: %s", (unsigned long)nth,
                     ss_status_message());
    }
}
