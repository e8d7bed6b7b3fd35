#include "pipeline/text/tokenizer.h"

#include "engine/base/memory.h"
#include "pipeline/text/nfc.h"
#include "pipeline/text/tokenizer_parts.h"
#include "pipeline/text/utf8.h"

/* One call's working memory. */
struct encoding {
    const struct ss_tokenizer *tokenizer;
    struct ss_id_sink sink;
    struct ss_nfc nfc;
    struct ss_added_parts raw_parts, normalized_parts;
    struct ss_pretokenizer_work pretokenizer;
    struct ss_bpe_work bpe;
};

/* Text with no added token in it. */
static enum ss_status encode_plain(struct encoding *e, const uint8_t *text, size_t bytes)
{
    const struct ss_tokenizer *tokenizer = e->tokenizer;
    const uint8_t *cut_text;
    enum ss_status status =
        ss_pretokenizer_apply(&tokenizer->pretokenizer, &e->pretokenizer, text, bytes, &cut_text);
    for (size_t i = 0; i < e->pretokenizer.pieces.count && !status; i++) {
        struct ss_span piece = e->pretokenizer.pieces.at[i];
        status = ss_bpe_encode(&tokenizer->bpe, &tokenizer->vocabulary, &e->bpe,
                               cut_text + piece.start, piece.end - piece.start, &e->sink);
    }
    return status;
}

/* Text with no raw added token in it, before its normalization. */
static enum ss_status encode_between(struct encoding *e, const uint8_t *text, size_t bytes)
{
    const struct ss_added_tokens *added = &e->tokenizer->added;
    struct ss_added_parts *parts = &e->normalized_parts;
    enum ss_status status = SS_OK;
    if (e->tokenizer->nfc)
        status = ss_nfc_apply(&e->nfc, text, bytes, &text, &bytes);
    if (!status)
        status = ss_added_tokens_split(added, &added->normalized, text, bytes, parts);
    for (size_t i = 0; i < parts->count && !status; i++) {
        struct ss_added_part part = parts->at[i];
        if (part.id == SS_NO_TOKEN)
            status = encode_plain(e, text + part.start, part.end - part.start);
        else
            ss_id_sink_put(&e->sink, part.id);
    }
    return status;
}

static enum ss_status encode_text(struct encoding *e, const uint8_t *text, size_t bytes)
{
    const struct ss_added_tokens *added = &e->tokenizer->added;
    struct ss_added_parts *parts = &e->raw_parts;
    enum ss_status status = ss_added_tokens_split(added, &added->raw, text, bytes, parts);
    for (size_t i = 0; i < parts->count && !status; i++) {
        struct ss_added_part part = parts->at[i];
        if (part.id == SS_NO_TOKEN)
            status = encode_between(e, text + part.start, part.end - part.start);
        else
            ss_id_sink_put(&e->sink, part.id);
    }
    return status;
}

static void put_all(struct ss_id_sink *sink, const uint32_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ss_id_sink_put(sink, ids[i]);
}

enum ss_status ss_tokenizer_encode(const struct ss_tokenizer *tokenizer, const char *text,
                                   size_t bytes, bool add_special, uint32_t *ids, size_t ids_max,
                                   size_t *count)
{
    if (bytes > SS_ENCODE_BYTES_MAX)
        return ss_fail(SS_FULL, "the text has %zu bytes; at most %u can be encoded at once", bytes,
                       SS_ENCODE_BYTES_MAX);
    size_t whole = ss_utf8_whole_bytes((const uint8_t *)text, bytes);
    if (whole < bytes)
        return ss_fail(SS_INVALID, "the text is not UTF-8: byte 0x%02x at offset %zu of %zu",
                       (uint8_t)text[whole], whole, bytes);

    struct encoding e = {.tokenizer = tokenizer};
    e.sink.ids = ids;
    e.sink.room = ids_max;
    const struct ss_postprocessor *around = &tokenizer->postprocessor;
    enum ss_status status = ss_pretokenizer_work_open(&e.pretokenizer);
    if (status)
        return status;
    if (add_special)
        put_all(&e.sink, around->before, around->before_count);
    status = encode_text(&e, (const uint8_t *)text, bytes);
    if (add_special)
        put_all(&e.sink, around->behind, around->behind_count);
    if (!status && e.sink.count > ids_max)
        status = ss_fail(SS_FULL, "the text of %zu bytes has %zu tokens; at most %zu are allowed",
                         bytes, e.sink.count, ids_max);
    if (!status)
        *count = e.sink.count;
    ss_bpe_work_free(&e.bpe);
    ss_pretokenizer_work_close(&e.pretokenizer);
    ss_free(e.raw_parts.at);
    ss_free(e.normalized_parts.at);
    ss_nfc_free(&e.nfc);
    return status;
}
