#include "pipeline/text/pretokenizer.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/memory.h"
#include "pipeline/text/unicode_table.h"
#include "pipeline/text/utf8.h"

enum ss_status ss_pretokenizer_work_open(struct ss_pretokenizer_work *work)
{
    *work = (struct ss_pretokenizer_work){0};
    return ss_split_search_open(&work->search);
}

void ss_pretokenizer_work_close(struct ss_pretokenizer_work *work)
{
    ss_split_search_close(&work->search);
    ss_free(work->pieces.at);
    ss_free(work->cut.at);
    ss_free(work->spaced);
}

void ss_pretokenizer_free(struct ss_pretokenizer *pretokenizer)
{
    for (size_t i = 0; i < pretokenizer->count; i++)
        ss_split_pattern_destroy(pretokenizer->steps[i].pattern);
    *pretokenizer = (struct ss_pretokenizer){0};
}

/* One piece being cut: matched and unmatched parts come in order and cover it. */
struct cutter {
    struct ss_spans *out;
    enum ss_split_behaviour behaviour;
    size_t base;       /* of the piece */
    size_t first;      /* out's first span of this piece */
    bool last_matched; /* the part before; false at first */
};

static enum ss_status append(struct cutter *cutter, size_t start, size_t end)
{
    return ss_spans_add(cutter->out, cutter->base + start, cutter->base + end);
}

static void extend(struct cutter *cutter, size_t end)
{
    cutter->out->at[cutter->out->count - 1].end = cutter->base + end;
}

/* Takes the part [START, END), which may be empty, as the behaviour has it. */
static enum ss_status cut(struct cutter *cutter, size_t start, size_t end, bool matched)
{
    bool any = cutter->out->count > cutter->first;
    bool last_matched = cutter->last_matched;
    cutter->last_matched = matched;
    switch (cutter->behaviour) {
    case SS_SPLIT_REMOVED:
        return matched ? SS_OK : append(cutter, start, end);
    case SS_SPLIT_ISOLATED:
        return append(cutter, start, end);
    case SS_SPLIT_CONTIGUOUS:
        if (matched != last_matched || !any)
            return append(cutter, start, end);
        break;
    case SS_SPLIT_MERGED_WITH_PREVIOUS:
        if (!matched || last_matched || !any)
            return append(cutter, start, end);
        break;
    case SS_SPLIT_MERGED_WITH_NEXT:
        /* Read backwards, it takes the first part behind an unmatched one: here, the last match of
         * a row of them takes what follows. */
        if (matched || !last_matched || !any)
            return append(cutter, start, end);
        break;
    }
    extend(cutter, end);
    return SS_OK;
}

static enum ss_status cut_by_pattern(struct cutter *cutter, struct ss_split_search *search,
                                     const struct ss_pretokenizer_step *step, const uint8_t *text,
                                     size_t bytes)
{
    ss_split_search_start(search, step->pattern, text, bytes);
    size_t done = 0, start, end;
    enum ss_status status;
    while (!(status = ss_split_search_next(search, &start, &end))) {
        if (done != start)
            status = cut(cutter, done, start, step->invert);
        if (!status)
            status = cut(cutter, start, end, !step->invert);
        if (status)
            return status;
        done = end;
    }
    if (status != SS_EMPTY)
        return status;
    return done == bytes ? SS_OK : cut(cutter, done, bytes, step->invert);
}

static enum ss_status cut_by_digits(struct cutter *cutter, const uint8_t *text, size_t bytes)
{
    size_t done = 0;
    enum ss_status status = SS_OK;
    for (size_t at = 0, length; at < bytes && !status; at += length) {
        if (!ss_unicode_is_numeric(ss_utf8_decode(text + at, &length)))
            continue;
        if (done != at)
            status = cut(cutter, done, at, false);
        if (!status)
            status = cut(cutter, at, at + length, true);
        done = at + length;
    }
    if (status || done == bytes)
        return status;
    return cut(cutter, done, bytes, false);
}

/* Takes the empty spans behind FIRST out. */
static void drop_empty(struct ss_spans *spans, size_t first)
{
    size_t kept = first;
    for (size_t i = first; i < spans->count; i++)
        if (spans->at[i].start != spans->at[i].end)
            spans->at[kept++] = spans->at[i];
    spans->count = kept;
}

static enum ss_status cut_pieces(const struct ss_pretokenizer_step *step,
                                 struct ss_pretokenizer_work *work, const uint8_t *text)
{
    work->cut.count = 0;
    for (size_t i = 0; i < work->pieces.count; i++) {
        struct ss_span piece = work->pieces.at[i];
        struct cutter cutter = {
            .out = &work->cut,
            .behaviour = step->behaviour,
            .base = piece.start,
            .first = work->cut.count,
        };
        const uint8_t *start = text + piece.start;
        size_t bytes = piece.end - piece.start;
        enum ss_status status = step->kind == SS_STEP_DIGITS
                                    ? cut_by_digits(&cutter, start, bytes)
                                    : cut_by_pattern(&cutter, &work->search, step, start, bytes);
        if (status)
            return status;
        drop_empty(&work->cut, cutter.first);
    }
    struct ss_spans swapped = work->pieces;
    work->pieces = work->cut;
    work->cut = swapped;
    return SS_OK;
}

/* Copies the pieces to memory of their own, each with a space before it that it does not have. */
static enum ss_status prefix_spaces(struct ss_pretokenizer_work *work, const uint8_t **text)
{
    size_t bytes = 0;
    for (size_t i = 0; i < work->pieces.count; i++)
        bytes += 1 + work->pieces.at[i].end - work->pieces.at[i].start;
    if (bytes > work->spaced_room) {
        enum ss_status status = ss_realloc(&work->spaced, bytes, 1, "text pieces with spaces");
        if (status)
            return status;
        work->spaced_room = bytes;
    }
    size_t used = 0;
    for (size_t i = 0; i < work->pieces.count; i++) {
        struct ss_span *piece = &work->pieces.at[i];
        const uint8_t *from = *text + piece->start;
        size_t length = piece->end - piece->start;
        piece->start = used;
        if (from[0] != ' ')
            work->spaced[used++] = ' ';
        memcpy(work->spaced + used, from, length);
        used += length;
        piece->end = used;
    }
    *text = work->spaced;
    return SS_OK;
}

enum ss_status ss_pretokenizer_apply(const struct ss_pretokenizer *pretokenizer,
                                     struct ss_pretokenizer_work *work, const uint8_t *text,
                                     size_t bytes, const uint8_t **cut_text)
{
    work->pieces.count = 0;
    enum ss_status status = ss_spans_add(&work->pieces, 0, bytes);
    /* ByteLevel comes once and last, so that the spaced copy is never copied again. */
    for (size_t i = 0; i < pretokenizer->count && !status; i++) {
        const struct ss_pretokenizer_step *step = &pretokenizer->steps[i];
        status = step->kind == SS_STEP_PREFIX_SPACE ? prefix_spaces(work, &text)
                                                    : cut_pieces(step, work, text);
    }
    if (!status)
        *cut_text = text;
    return status;
}
