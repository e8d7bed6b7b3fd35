#include "pipeline/text/detokenizer.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/memory.h"
#include "pipeline/text/utf8.h"

#define REPLACEMENT_BYTES 3

static const uint8_t replacement[REPLACEMENT_BYTES] = {0xEF, 0xBF, 0xBD}; /* U+FFFD */

void ss_detokenizer_start(struct ss_detokenizer *stream, const struct ss_tokenizer *tokenizer,
                          bool skip_special)
{
    *stream = (struct ss_detokenizer){.tokenizer = tokenizer, .skip_special = skip_special};
}

size_t ss_detokenizer_bytes_max(const struct ss_tokenizer *tokenizer)
{
    /* Every byte may be broken by itself. */
    return REPLACEMENT_BYTES * (ss_tokenizer_token_bytes_max(tokenizer) + SS_UTF8_BYTES_MAX);
}

/* Completes the character that is held back with bytes of TEXT. Returns how many it took; what it
 * wrote is added to *WRITTEN. */
static size_t complete(struct ss_detokenizer *stream, const uint8_t *text, size_t bytes, char *out,
                       size_t *written)
{
    size_t taken = 0;
    while (stream->held_bytes && taken < bytes) {
        stream->held[stream->held_bytes++] = text[taken++];
        size_t length;
        switch (ss_utf8_scan(stream->held, stream->held_bytes, &length)) {
        case SS_UTF8_PARTIAL:
            break;
        case SS_UTF8_WHOLE:
            SS_ASSERT(length == stream->held_bytes);
            memcpy(out + *written, stream->held, length);
            *written += length;
            stream->held_bytes = 0;
            break;
        case SS_UTF8_BROKEN:
            /* The byte just taken breaks it, and may begin something itself. */
            SS_ASSERT(length == stream->held_bytes - 1u);
            memcpy(out + *written, replacement, REPLACEMENT_BYTES);
            *written += REPLACEMENT_BYTES;
            stream->held_bytes = 0;
            taken--;
        }
    }
    return taken;
}

size_t ss_detokenizer_push(struct ss_detokenizer *stream, uint32_t id, char *out)
{
    size_t bytes, written = 0;
    if (stream->skip_special && ss_tokenizer_is_special(stream->tokenizer, id))
        return 0;
    const uint8_t *text = (const uint8_t *)ss_tokenizer_token_bytes(stream->tokenizer, id, &bytes);
    for (size_t at = complete(stream, text, bytes, out, &written), length; at < bytes;
         at += length) {
        switch (ss_utf8_scan(text + at, bytes - at, &length)) {
        case SS_UTF8_WHOLE:
            memcpy(out + written, text + at, length);
            written += length;
            break;
        case SS_UTF8_BROKEN:
            memcpy(out + written, replacement, REPLACEMENT_BYTES);
            written += REPLACEMENT_BYTES;
            break;
        case SS_UTF8_PARTIAL:
            length = bytes - at;
            memcpy(stream->held, text + at, length);
            stream->held_bytes = (uint8_t)length;
        }
    }
    return written;
}

size_t ss_detokenizer_finish(struct ss_detokenizer *stream, char *out)
{
    if (!stream->held_bytes)
        return 0;
    stream->held_bytes = 0;
    memcpy(out, replacement, REPLACEMENT_BYTES);
    return REPLACEMENT_BYTES;
}

enum ss_status ss_detokenize(const struct ss_tokenizer *tokenizer, const uint32_t *ids,
                             size_t count, bool skip_special, char *out, size_t bytes_max,
                             size_t *bytes)
{
    struct ss_detokenizer stream;
    char *piece;
    enum ss_status status =
        ss_alloc(&piece, ss_detokenizer_bytes_max(tokenizer), 1, "the text of a token");
    if (status)
        return status;
    ss_detokenizer_start(&stream, tokenizer, skip_special);
    size_t written = 0;
    for (size_t i = 0; i <= count; i++) {
        size_t length = i < count ? ss_detokenizer_push(&stream, ids[i], piece)
                                  : ss_detokenizer_finish(&stream, piece);
        if (written <= bytes_max && length <= bytes_max - written)
            memcpy(out + written, piece, length);
        written += length;
    }
    ss_free(piece);
    if (written > bytes_max)
        return ss_fail(SS_FULL, "the text of %zu tokens has %zu bytes; there is room for %zu",
                       count, written, bytes_max);
    *bytes = written;
    return SS_OK;
}
