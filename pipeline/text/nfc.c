#include "pipeline/text/nfc.h"

#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

#include "engine/base/assert.h"
#include "engine/base/memory.h"
#include "pipeline/text/unicode_table.h"
#include "pipeline/text/utf8.h"

/* A canonical decomposition has four characters at most (Unicode Standard Annex #15). */
#define DECOMPOSED_MAX 4

/* Below U+0300 nothing combines and nothing decomposes into anything but what composes again. */
#define FIRST_COMBINING 0x300

/* The one pair that composes since Unicode 9: Dives Akuru vowel sign O. Left alone. */
#define LATE_COMPOSED 0x11938
#define LATE_FIRST    0x11935
#define LATE_SECOND   0x11930

void ss_nfc_free(struct ss_nfc *nfc)
{
    ss_free(nfc->characters);
    ss_free(nfc->text);
    *nfc = (struct ss_nfc){0};
}

static bool is_plain(const uint8_t *text, size_t bytes)
{
    /* U+0300 begins with 0xCC. */
    for (size_t i = 0; i < bytes; i++)
        if (text[i] >= 0xCC)
            return false;
    return true;
}

static size_t decompose(const uint8_t *text, size_t bytes, int32_t *out)
{
    size_t count = 0;
    for (size_t at = 0, length; at < bytes; at += length) {
        int32_t character = (int32_t)ss_utf8_decode(text + at, &length);
        if (character < 0xC0 || character == LATE_COMPOSED) {
            out[count++] = character;
            continue;
        }
        int boundary = 0;
        utf8proc_ssize_t made =
            utf8proc_decompose_char(character, out + count, DECOMPOSED_MAX,
                                    UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, &boundary);
        SS_ASSERT(made > 0 && made <= DECOMPOSED_MAX);
        count += (size_t)made;
    }
    return count;
}

/* Runs up to this length are sorted by insertion; counting is for hostile ones. */
#define INSERTION_MAX 16

static int class_of(int32_t character)
{
    return ss_unicode_combining_class((uint32_t)character);
}

/* Sorts a run of marks by class, keeping the order within one. SPARE has room for COUNT. */
static void sort_marks(int32_t *marks, size_t count, int32_t *spare)
{
    if (count <= INSERTION_MAX) {
        for (size_t i = 1; i < count; i++) {
            int32_t mark = marks[i];
            size_t at = i;
            for (; at > 0 && class_of(marks[at - 1]) > class_of(mark); at--)
                marks[at] = marks[at - 1];
            marks[at] = mark;
        }
        return;
    }
    size_t start[256] = {0};
    for (size_t i = 0; i < count; i++)
        start[class_of(marks[i])]++;
    size_t sum = 0;
    for (size_t i = 0; i < 256; i++) {
        size_t here = start[i];
        start[i] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++)
        spare[start[class_of(marks[i])]++] = marks[i];
    memcpy(marks, spare, count * sizeof *marks);
}

static void order_marks(int32_t *characters, size_t count, int32_t *spare)
{
    for (size_t i = 0; i < count; i++) {
        if (!class_of(characters[i]))
            continue;
        size_t end = i + 1;
        while (end < count && class_of(characters[end]))
            end++;
        if (end - i > 1)
            sort_marks(characters + i, end - i, spare);
        i = end;
    }
}

/* The primary composite of a pair, or 0. */
static int32_t compose_pair(int32_t first, int32_t second)
{
    /* Latin first halves are below U+0300, but second halves never are. */
    if (second < FIRST_COMBINING || (first == LATE_FIRST && second == LATE_SECOND))
        return 0;
    int32_t pair[2] = {first, second};
    utf8proc_ssize_t left = utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    return left == 1 ? pair[0] : 0;
}

static size_t compose(int32_t *characters, size_t count)
{
    size_t written = 0, starter = SIZE_MAX;
    int last_class = 0; /* of what stands last behind the starter */
    for (size_t i = 0; i < count; i++) {
        int rank = class_of(characters[i]);
        bool adjacent = starter != SIZE_MAX && starter + 1 == written;
        if (starter != SIZE_MAX && (adjacent || last_class < rank)) {
            int32_t composed = compose_pair(characters[starter], characters[i]);
            if (composed) {
                characters[starter] = composed;
                continue;
            }
        }
        if (rank == 0)
            starter = written;
        last_class = rank;
        characters[written++] = characters[i];
    }
    return written;
}

static enum ss_status reserve(struct ss_nfc *nfc, size_t bytes)
{
    /* Two areas: the text's and the sort's. No character of two bytes decomposes into more than
     * three, none of three or four bytes into more than four. */
    size_t characters = 2 * (2 * bytes + DECOMPOSED_MAX);
    if (nfc->characters_room < characters) {
        enum ss_status status = ss_realloc(&nfc->characters, characters, sizeof *nfc->characters,
                                           "characters of a text");
        if (status)
            return status;
        nfc->characters_room = characters;
    }
    return SS_OK;
}

static enum ss_status write_text(struct ss_nfc *nfc, size_t count)
{
    size_t bytes = count * SS_UTF8_BYTES_MAX;
    if (nfc->text_room < bytes) {
        enum ss_status status = ss_realloc(&nfc->text, bytes, 1, "a normalized text");
        if (status)
            return status;
        nfc->text_room = bytes;
    }
    return SS_OK;
}

enum ss_status ss_nfc_apply(struct ss_nfc *nfc, const uint8_t *text, size_t bytes,
                            const uint8_t **out, size_t *out_bytes)
{
    if (is_plain(text, bytes)) {
        *out = text;
        *out_bytes = bytes;
        return SS_OK;
    }
    enum ss_status status = reserve(nfc, bytes);
    if (status)
        return status;
    int32_t *characters = nfc->characters;
    size_t count = decompose(text, bytes, characters);
    order_marks(characters, count, characters + nfc->characters_room / 2);
    count = compose(characters, count);
    status = write_text(nfc, count);
    if (status)
        return status;
    size_t written = 0;
    for (size_t i = 0; i < count; i++)
        written += ss_utf8_encode((uint32_t)characters[i], nfc->text + written);
    *out = nfc->text;
    *out_bytes = written;
    return SS_OK;
}
