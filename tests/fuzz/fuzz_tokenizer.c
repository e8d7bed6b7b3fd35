/* libFuzzer: the first byte chooses. '{': all is a tokenizer.json, which must be refused or work.
 * Else the rest is a text for two tokenizers made here, one of which must give it back. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "pipeline/text/byte_alphabet.h"
#include "pipeline/text/detokenizer.h"
#include "pipeline/text/stop.h"
#include "pipeline/text/tokenizer.h"
#include "pipeline/text/utf8.h"

#define TEXT_BYTES_MAX 4096
#define IDS_MAX        (2 * TEXT_BYTES_MAX + 64)

#define SPLIT                                                                              \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| " \
    "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"

#define ADDED(id, content, normalized, single_word, strip)                    \
    "{\"id\":" id ",\"content\":\"" content "\",\"normalized\":" normalized   \
    ",\"single_word\":" single_word ",\"lstrip\":" strip ",\"rstrip\":" strip \
    ",\"special\":false}"

/* Takes nothing away from a text. */
static const char plain_added[] = ADDED("261", "<|x|>", "false", "false", "false");

static const char marked_added[] = ADDED("261", "<|x|>", "false", "false", "true") "," ADDED(
    "262", "word", "true", "true", "false") "," ADDED("263", "\\n", "true", "false", "true");

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A vocabulary of the 256 letters and five merges. */
static struct ss_tokenizer *make(const char *normalizer, const char *added)
{
    static char json[32768];
    int at =
        snprintf(json, sizeof json,
                 "{\"normalizer\":%s,\"added_tokens\":[%s],\"decoder\":{\"type\":\"ByteLevel\"}"
                 ",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
                 "\"Split\",\"pattern\":{\"Regex\":\"" SPLIT
                 "\"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\","
                 "\"add_prefix_space\":false,\"use_regex\":false}]},\"model\":{\"merges\":["
                 "\"t h\",\"th e\",\"a a\",\"aa aa\",\"\u0120 the\"],\"vocab\":{",
                 normalizer, added);
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t letter[SS_UTF8_BYTES_MAX + 1] = {0};
        ss_utf8_encode(ss_byte_alphabet_char((uint8_t)byte), letter);
        at += snprintf(json + at, sizeof json - (size_t)at, "\"%s%s\":%u,",
                       byte == '"' || byte == '\\' ? "\\" : "", (char *)letter, byte);
    }
    at += snprintf(json + at, sizeof json - (size_t)at,
                   "\"th\":256,\"the\":257,\"aa\":258,\"aaaa\":259,\"\u0120the\":260}}}");
    struct ss_tokenizer *tokenizer;
    if (ss_tokenizer_open_json("made", json, (size_t)at, &tokenizer)) {
        fprintf(stderr, "%s\n", ss_status_message());
        abort();
    }
    return tokenizer;
}

/* Encodes and decodes; the text that comes out must be UTF-8, and TEXT itself if EXACT. */
static void check_text(const struct ss_tokenizer *tokenizer, const char *text, size_t bytes,
                       bool exact)
{
    static uint32_t ids[IDS_MAX];
    static char out[16 * IDS_MAX];
    size_t count, out_bytes;
    bool whole = ss_utf8_whole_bytes((const uint8_t *)text, bytes) == bytes;
    enum ss_status status = ss_tokenizer_encode(tokenizer, text, bytes, true, ids, IDS_MAX, &count);
    SS_ASSERT(whole || status == SS_INVALID);
    if (status)
        return;
    for (size_t i = 0; i < count; i++)
        SS_ASSERT(ids[i] < ss_tokenizer_vocab_size(tokenizer));
    if (ss_detokenize(tokenizer, ids, count, false, out, sizeof out, &out_bytes))
        return;
    SS_ASSERT(ss_utf8_whole_bytes((const uint8_t *)out, out_bytes) == out_bytes);
    SS_ASSERT(!exact || (out_bytes == bytes && memcmp(out, text, bytes) == 0));
}

/* The first byte's worth of text as a stop string in the rest, in parts of three bytes. */
static void check_stop(const char *text, size_t bytes)
{
    size_t length = bytes > 0 ? 1 + (uint8_t)text[0] % 8 : 0;
    struct ss_stop_set *set;
    if (length == 0 || length > bytes || ss_stop_set_create(&text, &length, 1, &set))
        return;
    static char out[TEXT_BYTES_MAX + 16];
    struct ss_stop_stream stream;
    const char *rest = text + length;
    size_t rest_bytes = bytes - length, written = 0;
    ss_stop_start(&stream, set);
    for (size_t at = 0; at < rest_bytes; at += 3)
        written += ss_stop_push(&stream, rest + at, rest_bytes - at < 3 ? rest_bytes - at : 3,
                                out + written);
    written += ss_stop_finish(&stream, out + written);
    const char *found = memmem(rest, rest_bytes, text, length);
    SS_ASSERT((found != 0) == (stream.matched == 0));
    SS_ASSERT(written == (found ? (size_t)(found - rest) : rest_bytes));
    SS_ASSERT(memcmp(out, rest, written) == 0);
    ss_stop_set_destroy(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct ss_tokenizer *plain, *marked;
    if (!plain) {
        plain = make("null", plain_added);
        marked = make("{\"type\":\"NFC\"}", marked_added);
    }
    if (bytes > 0 && data[0] == '{') {
        struct ss_tokenizer *tokenizer;
        static const char text[] = " Hello the w\u00f6rd <|x|> 12345\r\n\te\u0301 aaaaaaa";
        if (ss_tokenizer_open_json("fuzz", (const char *)data, bytes, &tokenizer))
            return 0;
        check_text(tokenizer, text, sizeof text - 1, false);
        ss_tokenizer_close(tokenizer);
        return 0;
    }
    const char *text = (const char *)data + 1;
    if (bytes == 0 || bytes > TEXT_BYTES_MAX)
        return 0;
    check_text(plain, text, bytes - 1, true);
    check_text(marked, text, bytes - 1, false);
    check_stop(text, bytes - 1);
    return 0;
}
