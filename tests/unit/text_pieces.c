/* The parts that the tokenizer is made of, by themselves. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/memory.h"
#include "pipeline/text/byte_alphabet.h"
#include "pipeline/text/nfc.h"
#include "pipeline/text/oniguruma.h"
#include "pipeline/text/split_pattern.h"
#include "pipeline/text/unicode_table.h"
#include "pipeline/text/utf8.h"

Test(text_pieces, every_character_survives_utf8)
{
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        uint8_t text[SS_UTF8_BYTES_MAX];
        size_t length, scanned, back;
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        size_t written = ss_utf8_encode(c, text);
        cr_assert_eq(ss_utf8_decode(text, &length), c);
        cr_assert_eq(length, written);
        cr_assert_eq(ss_utf8_scan(text, written, &scanned), SS_UTF8_WHOLE);
        cr_assert_eq(scanned, written);
        cr_assert_eq(ss_utf8_decode_back(text, written, &back), c);
        if (written > 1)
            cr_assert_eq(ss_utf8_scan(text, written - 1, &scanned), SS_UTF8_PARTIAL);
    }
}

/* The examples of The Unicode Standard 15, tables 3-8 to 3-11. */
Test(text_pieces, broken_utf8_is_cut_in_maximal_subparts)
{
    static const struct {
        const char *text;
        const char *lengths; /* of its parts, a digit each; whole characters as 'w' */
    } cases[] = {
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", "11111111w"},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", "11111111w"},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", "11111w11w"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "2132w"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint8_t *text = (const uint8_t *)cases[i].text;
        size_t bytes = strlen(cases[i].text), at = 0, length;
        for (const char *part = cases[i].lengths; *part; part++, at += length) {
            enum ss_utf8_kind kind = ss_utf8_scan(text + at, bytes - at, &length);
            cr_assert_eq(kind, *part == 'w' ? SS_UTF8_WHOLE : SS_UTF8_BROKEN);
            if (*part != 'w')
                cr_assert_eq(length, (size_t)(*part - '0'), "case %zu at %zu", i, at);
        }
        cr_assert_eq(at, bytes);
    }
}

Test(text_pieces, the_byte_alphabet_is_one_to_one)
{
    static const struct {
        uint8_t byte;
        uint32_t character;
    } known[] = {{' ', 0x120},  {'\n', 0x10A}, {'a', 'a'},   {0x7F, 0x121},
                 {0xA0, 0x142}, {0xAD, 0x143}, {0xFF, 0xFF}, {0, 0x100}};
    for (int byte = 0; byte < 256; byte++) {
        uint32_t character = ss_byte_alphabet_char((uint8_t)byte);
        cr_assert_eq(ss_byte_alphabet_byte(character), byte);
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        cr_assert_eq(ss_byte_alphabet_char(known[i].byte), known[i].character);
    cr_assert_eq(ss_byte_alphabet_byte(' '), -1);
    cr_assert_eq(ss_byte_alphabet_byte(0x144), -1);
    cr_assert_eq(ss_byte_alphabet_byte(0x4F60), -1);
}

static void check_nfc(const char *text, const char *wanted)
{
    struct ss_nfc nfc = {0};
    const uint8_t *out;
    size_t bytes;
    cr_assert_eq(ss_nfc_apply(&nfc, (const uint8_t *)text, strlen(text), &out, &bytes), SS_OK);
    cr_assert(bytes == strlen(wanted) && memcmp(out, wanted, bytes) == 0, "%s became %.*s", text,
              (int)bytes, out);
    ss_nfc_free(&nfc);
}

Test(text_pieces, nfc)
{
    check_nfc("", "");
    check_nfc("plain \u00e9", "plain \u00e9");
    check_nfc("e\u0301", "\u00e9");
    check_nfc("\u212b", "\u00c5");
    check_nfc("\u0344", "\u0308\u0301"); /* excluded from composition */
    check_nfc("\u0958", "\u0915\u093c"); /* the same */
    check_nfc("a\u0315\u0300\u05ae\u0300b", "\u00e0\u05ae\u0300\u0315b");
    check_nfc("\u1112\u1161\u11ab", "\ud55c");
    check_nfc("\uac00\u11a8", "\uac01");
    check_nfc("\u1100\u1100\u1161", "\u1100\uac00");
    check_nfc("q\u0307\u0323", "q\u0323\u0307");
    check_nfc("\u0301", "\u0301");
    /* As Unicode 9: later marks have no class, a later pair does not compose. */
    check_nfc("a\u1df6\u0301", "a\u1df6\u0301");
    check_nfc("\U00011935\U00011930", "\U00011935\U00011930");
    check_nfc("\U00011938", "\U00011938");
}

/* Puts TEXT, without its end, at AT and returns where it stops. */
static char *put(char *at, const char *text)
{
    while (*text)
        *at++ = *text++;
    return at;
}

/* Three hundred pairs, so that the marks are not sorted the way that short runs are. */
Test(text_pieces, nfc_of_many_marks)
{
    char text[2048] = "a", wanted[2048] = "\u1ea1"; /* a with dot below */
    char *end = text + 1, *wanted_end = wanted + strlen(wanted);
    for (int i = 0; i < 300; i++)
        end = put(end, "\u0301\u0323");
    for (int i = 1; i < 300; i++)
        wanted_end = put(wanted_end, "\u0323");
    for (int i = 0; i < 300; i++)
        wanted_end = put(wanted_end, "\u0301");
    check_nfc(text, wanted);
}

Test(text_pieces, properties_of_unicode_16)
{
    cr_assert(ss_unicode_is_word(0x31350)); /* 15 */
    cr_assert(ss_unicode_is_word(0x2EBF0)); /* 15.1 */
    cr_assert(ss_unicode_is_word(0x10D4A)); /* 16 */
    cr_assert(ss_unicode_is_word('_') && ss_unicode_is_word(0x301) && ss_unicode_is_word(0x24B6));
    cr_assert_not(ss_unicode_is_word('-') || ss_unicode_is_word(' ') || ss_unicode_is_word(0xB2));
    cr_assert(ss_unicode_is_numeric(0xB2) && ss_unicode_is_numeric(0x10D40));
    cr_assert(ss_unicode_is_numeric(0x11DE0) && !ss_unicode_is_numeric('a'));
    cr_assert(ss_unicode_is_white(0x3000) && ss_unicode_is_white(0x85) && ss_unicode_is_white(' '));
    cr_assert_not(ss_unicode_is_white(0x180E) || ss_unicode_is_white(0x200B) ||
                  ss_unicode_is_white(0x1C));
    size_t count;
    const struct ss_unicode_range *ranges = ss_unicode_additions(&count);
    for (size_t i = 0; i < count; i++) {
        cr_assert_leq(ranges[i].first, ranges[i].last);
        cr_assert(i == 0 || ranges[i - 1].last < ranges[i].first);
    }
}

/* Cuts TEXT by PATTERN and compares with its parts, divided by '|'. */
static void check_split(const char *pattern, const char *text, const char *wanted)
{
    struct ss_split_pattern *made;
    struct ss_split_search search;
    char out[256];
    size_t used = 0, start, end;
    cr_assert_eq(ss_split_pattern_create(pattern, false, &made), SS_OK, "%s", ss_status_message());
    cr_assert_eq(ss_split_search_open(&search), SS_OK);
    ss_split_search_start(&search, made, (const uint8_t *)text, strlen(text));
    while (!ss_split_search_next(&search, &start, &end)) {
        memcpy(out + used, text + start, end - start);
        used += end - start;
        out[used++] = '|';
    }
    cr_assert(used == strlen(wanted) && memcmp(out, wanted, used) == 0, "%s of \"%s\": %.*s",
              pattern, text, (int)used, out);
    ss_split_search_close(&search);
    ss_split_pattern_destroy(made);
}

Test(text_pieces, patterns_match_as_oniguruma_does)
{
    check_split("\\s+(?!\\S)|\\s+", "a  b \u180e", " | | |");
    check_split("\\s+", "\u180e", "");
    check_split("\\p{L}+", "a\U00031350\U00010D4A1", "a\U00031350\U00010D4A|");
    check_split("[^\\p{L}]", "\U00031350-", "-|");
    check_split("\\P{N}", "1\U00010D40x", "x|");
    check_split("(?i:'s|'ll)", "'S 'LL '\u017f", "'S|'LL|'\u017f|");
    check_split("\\d{1,2}", "12345", "12|34|5|");
    check_split("x*", "axb", "|x||"); /* empty matches too, but not right behind a match */
    check_split(".", "a\r\n\u2028", "a|\r|\u2028|");
    check_split("\\v", "a\x0b\n", "\x0b|");
    check_split("[\\s\\d]+", "a 1\t2b", " 1\t2|");
}

Test(text_pieces, a_literal_pattern_is_no_expression)
{
    struct ss_split_pattern *made;
    struct ss_split_search search;
    size_t start, end;
    cr_assert_eq(ss_split_pattern_create("a.*", true, &made), SS_OK);
    cr_assert_eq(ss_split_search_open(&search), SS_OK);
    ss_split_search_start(&search, made, (const uint8_t *)"abc a.* x", 9);
    cr_assert_eq(ss_split_search_next(&search, &start, &end), SS_OK);
    cr_assert(start == 4 && end == 7);
    cr_assert_eq(ss_split_search_next(&search, &start, &end), SS_EMPTY);
    ss_split_search_close(&search);
    ss_split_pattern_destroy(made);
}
