/* Stop strings, against a plain search over the whole text. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/random.h"
#include "pipeline/text/stop.h"
#include "pipeline/text/utf8.h"

static struct ss_stop_set *make(const char *const *strings, size_t count)
{
    size_t lengths[SS_STOP_SET_STRINGS_MAX];
    struct ss_stop_set *set;
    for (size_t i = 0; i < count; i++)
        lengths[i] = strlen(strings[i]);
    cr_assert_eq(ss_stop_set_create(strings, lengths, count, &set), SS_OK, "%s",
                 ss_status_message());
    return set;
}

/* The match that ends first, the longest of those that end there; -1 and BYTES if there is none. */
static int plain_search(const char *const *strings, size_t count, const char *text, size_t bytes,
                        size_t *before)
{
    for (size_t end = 1; end <= bytes; end++) {
        int best = -1;
        for (size_t i = 0; i < count; i++) {
            size_t length = strlen(strings[i]);
            if (length <= end && memcmp(text + end - length, strings[i], length) == 0 &&
                (best < 0 || length > strlen(strings[best])))
                best = (int)i;
        }
        if (best >= 0) {
            *before = end - strlen(strings[best]);
            return best;
        }
    }
    *before = bytes;
    return -1;
}

/* Puts TEXT through in parts of random length and compares with the plain search. */
static void check(const char *const *strings, size_t count, const char *text, uint64_t seed)
{
    struct ss_stop_set *set = make(strings, count);
    struct ss_stop_stream stream;
    char out[4096];
    size_t bytes = strlen(text), written = 0, before, at = 0;
    int wanted = plain_search(strings, count, text, bytes, &before);
    ss_stop_start(&stream, set);
    for (uint64_t i = 0; at < bytes; i++) {
        size_t part = 1 + ss_random_u64(seed, i) % 5;
        if (part > bytes - at)
            part = bytes - at;
        written += ss_stop_push(&stream, text + at, part, out + written);
        at += part;
        if (stream.matched < 0)
            cr_assert_leq(at - written, ss_stop_held_max(set));
    }
    written += ss_stop_finish(&stream, out + written);
    cr_assert_eq(stream.matched, wanted, "\"%s\": %d, not %d", text, stream.matched, wanted);
    cr_assert_eq(written, before, "\"%s\"", text);
    cr_assert(memcmp(out, text, before) == 0, "\"%s\"", text);
    ss_stop_set_destroy(set);
}

Test(text_stop, known_cases)
{
    static const char *const one[] = {"</s>"};
    static const char *const nested[] = {"b", "ab", "xabc"};
    static const char *const overlapping[] = {"abcd", "bcx", "cxy"};
    static const char *const repeated[] = {"aab", "aab"};
    check(one, 1, "", 1);
    check(one, 1, "no stop here <", 1);
    check(one, 1, "text</s>more", 1);
    check(one, 1, "text<</s>more", 1);
    check(one, 1, "</s", 1);
    check(nested, 3, "xxabc", 1);
    check(nested, 3, "xb", 1);
    check(overlapping, 3, "abcxy", 1);
    check(overlapping, 3, "abccxyz", 1);
    check(repeated, 2, "aaaab", 1);
    check(one, 0, "nothing stops this", 1);
}

Test(text_stop, random_cases)
{
    for (uint64_t seed = 0; seed < 20000; seed++) {
        char words[4][8], text[40];
        const char *strings[4];
        uint64_t n = 0;
        size_t count = 1 + ss_random_u64(seed, n++) % 4;
        for (size_t i = 0; i < count; i++) {
            size_t length = 1 + ss_random_u64(seed, n++) % 6;
            for (size_t k = 0; k < length; k++)
                words[i][k] = (char)('a' + ss_random_u64(seed, n++) % 3);
            words[i][length] = '\0';
            strings[i] = words[i];
        }
        size_t length = ss_random_u64(seed, n++) % (sizeof text - 1);
        for (size_t k = 0; k < length; k++)
            text[k] = (char)('a' + ss_random_u64(seed, n++) % 3);
        text[length] = '\0';
        check(strings, count, text, seed);
    }
}

Test(text_stop, after_a_match_nothing_comes)
{
    static const char *const strings[] = {"stop"};
    struct ss_stop_set *set = make(strings, 1);
    struct ss_stop_stream stream;
    char out[64];
    ss_stop_start(&stream, set);
    cr_assert_eq(ss_stop_push(&stream, "a stop b", 8, out), 2);
    cr_assert_eq(stream.matched, 0);
    cr_assert_eq(ss_stop_push(&stream, "more", 4, out), 0);
    cr_assert_eq(ss_stop_finish(&stream, out), 0);
    ss_stop_set_destroy(set);
}

Test(text_stop, a_copy_goes_on_by_itself)
{
    static const char *const strings[] = {"end."};
    struct ss_stop_set *set = make(strings, 1);
    struct ss_stop_stream stream, copy;
    char out[64];
    ss_stop_start(&stream, set);
    cr_assert_eq(ss_stop_push(&stream, "the en", 6, out), 4);
    copy = stream;
    cr_assert_eq(ss_stop_push(&stream, "d.", 2, out), 0);
    cr_assert_eq(stream.matched, 0);
    cr_assert_eq(ss_stop_push(&copy, "try", 3, out), 5);
    cr_assert(memcmp(out, "entry", 5) == 0);
    cr_assert_eq(copy.matched, -1);
    ss_stop_set_destroy(set);
}

/* Parts that are whole characters stay so, also where a stop string shares a lead byte. */
Test(text_stop, characters_are_not_cut)
{
    static const char *const strings[] = {"\u00e9\u00e9", "\u20ac!"};
    static const char *const parts[] = {"\u00e8", "\u00e9", "\u00ea", "\u20ac", "\u20ad", "\u00e9"};
    struct ss_stop_set *set = make(strings, 2);
    struct ss_stop_stream stream;
    char out[64];
    size_t total = 0;
    ss_stop_start(&stream, set);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t length = ss_stop_push(&stream, parts[i], strlen(parts[i]), out);
        cr_assert_eq(ss_utf8_whole_bytes((uint8_t *)out, length), length);
        total += length;
    }
    cr_assert_eq(total + ss_stop_finish(&stream, out), 14);
    ss_stop_set_destroy(set);
}

Test(text_stop, bad_strings_are_refused)
{
    struct ss_stop_set *set = 0;
    const char *strings[SS_STOP_SET_STRINGS_MAX + 1];
    size_t lengths[SS_STOP_SET_STRINGS_MAX + 1];
    for (size_t i = 0; i <= SS_STOP_SET_STRINGS_MAX; i++) {
        strings[i] = "x";
        lengths[i] = 1;
    }
    cr_assert_eq(ss_stop_set_create(strings, lengths, SS_STOP_SET_STRINGS_MAX + 1, &set),
                 SS_INVALID);
    lengths[1] = 0;
    cr_assert_eq(ss_stop_set_create(strings, lengths, 2, &set), SS_INVALID);
    cr_assert(strstr(ss_status_message(), "stop string 1"));
    lengths[1] = SS_STOP_STRING_BYTES_MAX + 1;
    cr_assert_eq(ss_stop_set_create(strings, lengths, 2, &set), SS_INVALID);
    strings[1] = "ok\xff";
    lengths[1] = 3;
    cr_assert_eq(ss_stop_set_create(strings, lengths, 2, &set), SS_INVALID);
    cr_assert(strstr(ss_status_message(), "offset 2"), "%s", ss_status_message());
    cr_assert_eq(set, 0);
}
