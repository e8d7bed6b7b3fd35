#include "pipeline/text/bpe.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/memory.h"
#include "pipeline/text/byte_alphabet.h"

#define NONE UINT32_MAX

/* A token in the making; a piece is a list of them in place. */
struct ss_bpe_symbol {
    uint32_t id;
    uint32_t previous, next; /* NONE at the ends */
    bool merged_away;
};

/* "The symbol at AT could merge with the next." It may be out of date when its turn comes. */
struct ss_bpe_candidate {
    uint32_t rank, at, merged;
};

void ss_bpe_free(struct ss_bpe *bpe)
{
    ss_free(bpe->merges);
    bpe->merges = 0;
}

void ss_bpe_work_free(struct ss_bpe_work *work)
{
    ss_free(work->symbols);
    ss_free(work->heap);
    ss_free(work->spelled);
    *work = (struct ss_bpe_work){0};
}

static size_t first_slot(const struct ss_bpe *bpe, uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15ull;
    return (size_t)(h ^ h >> 32) & (bpe->merges_slots - 1);
}

static struct ss_merge *slot_of(const struct ss_bpe *bpe, uint32_t left, uint32_t right)
{
    size_t at = first_slot(bpe, left, right);
    for (;; at = (at + 1) & (bpe->merges_slots - 1)) {
        struct ss_merge *merge = &bpe->merges[at];
        if (merge->merged == SS_NO_TOKEN || (merge->left == left && merge->right == right))
            return merge;
    }
}

enum ss_status ss_bpe_merges_create(struct ss_bpe *bpe, size_t count)
{
    size_t slots = 64;
    while (slots < 2 * count)
        slots *= 2;
    enum ss_status status = ss_alloc(&bpe->merges, slots, sizeof *bpe->merges, "merges");
    if (status)
        return status;
    bpe->merges_slots = slots;
    for (size_t i = 0; i < slots; i++)
        bpe->merges[i].merged = SS_NO_TOKEN;
    return SS_OK;
}

void ss_bpe_merges_put(struct ss_bpe *bpe, const struct ss_merge *merge)
{
    *slot_of(bpe, merge->left, merge->right) = *merge;
}

static bool before(const struct ss_bpe_candidate *a, const struct ss_bpe_candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(struct ss_bpe_work *work, struct ss_bpe_candidate candidate)
{
    struct ss_bpe_candidate *heap = work->heap;
    size_t at = work->heap_count++;
    SS_ASSERT(at < work->heap_room);
    while (at > 0 && before(&candidate, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = candidate;
}

static struct ss_bpe_candidate heap_pop(struct ss_bpe_work *work)
{
    struct ss_bpe_candidate *heap = work->heap;
    struct ss_bpe_candidate top = heap[0], last = heap[--work->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= work->heap_count)
            break;
        if (child + 1 < work->heap_count && before(&heap[child + 1], &heap[child]))
            child++;
        if (!before(&heap[child], &last))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

/* Notes that the symbol at AT could merge with the one behind it, if it could. */
static void consider(const struct ss_bpe *bpe, struct ss_bpe_work *work, uint32_t at)
{
    const struct ss_bpe_symbol *symbol = &work->symbols[at];
    if (symbol->next == NONE)
        return;
    const struct ss_merge *merge = slot_of(bpe, symbol->id, work->symbols[symbol->next].id);
    if (merge->merged != SS_NO_TOKEN)
        heap_push(work, (struct ss_bpe_candidate){merge->rank, at, merge->merged});
}

static void merge_all(const struct ss_bpe *bpe, struct ss_bpe_work *work, size_t count)
{
    work->heap_count = 0;
    for (size_t at = 0; at + 1 < count; at++)
        consider(bpe, work, (uint32_t)at);
    while (work->heap_count) {
        struct ss_bpe_candidate candidate = heap_pop(work);
        struct ss_bpe_symbol *left = &work->symbols[candidate.at];
        if (left->merged_away || left->next == NONE)
            continue;
        struct ss_bpe_symbol *right = &work->symbols[left->next];
        /* What `tokenizers` holds for still valid: any pair that makes the same token, even where
         * the pair is another than the one that gave the candidate its rank. */
        const struct ss_merge *merge = slot_of(bpe, left->id, right->id);
        if (merge->merged == SS_NO_TOKEN || merge->merged != candidate.merged)
            continue;
        left->id = candidate.merged;
        left->next = right->next;
        right->merged_away = true;
        if (left->next != NONE)
            work->symbols[left->next].previous = candidate.at;
        if (left->previous != NONE)
            consider(bpe, work, left->previous);
        consider(bpe, work, candidate.at);
    }
}

static enum ss_status reserve(struct ss_bpe_work *work, size_t bytes)
{
    if (bytes <= work->symbols_room)
        return SS_OK;
    size_t room = 2 * work->symbols_room;
    if (room < 256)
        room = 256;
    if (room < bytes)
        room = bytes;
    enum ss_status status =
        ss_realloc(&work->symbols, room, sizeof *work->symbols, "symbols of a text piece");
    /* At most BYTES - 1 candidates at first; a merge takes one out and puts two in, and there are
     * at most BYTES - 1 merges. */
    if (!status)
        status = ss_realloc(&work->heap, 2 * room, sizeof *work->heap, "merges of a text piece");
    if (status)
        return status;
    work->symbols_room = room;
    work->heap_room = 2 * room;
    return SS_OK;
}

static size_t make_symbols(const struct ss_bpe *bpe, struct ss_bpe_work *work, const uint8_t *piece,
                           size_t bytes)
{
    size_t count = 0;
    bool in_unknown = false;
    for (size_t i = 0; i < bytes; i++) {
        uint32_t id = bpe->byte_ids[piece[i]];
        bool unknown = id == SS_NO_TOKEN;
        if (unknown) {
            if (bpe->unknown_id == SS_NO_TOKEN || (in_unknown && bpe->fuse_unknown))
                continue;
            id = bpe->unknown_id;
        }
        in_unknown = unknown;
        work->symbols[count] = (struct ss_bpe_symbol){
            .id = id,
            .previous = count ? (uint32_t)count - 1 : NONE,
            .next = (uint32_t)count + 1,
        };
        count++;
    }
    if (count)
        work->symbols[count - 1].next = NONE;
    return count;
}

/* The token that is the whole PIECE, in *ID; SS_NO_TOKEN if none is. */
static enum ss_status find_whole(const struct ss_vocabulary *vocabulary, struct ss_bpe_work *work,
                                 const uint8_t *piece, size_t bytes, uint32_t *id)
{
    *id = SS_NO_TOKEN;
    if (bytes > vocabulary->bytes_length_max)
        return SS_OK;
    if (2 * bytes > work->spelled_room) {
        size_t room = 2 * (size_t)vocabulary->bytes_length_max;
        enum ss_status status = ss_realloc(&work->spelled, room, 1, "a text piece's letters");
        if (status)
            return status;
        work->spelled_room = room;
    }
    size_t length = ss_byte_alphabet_spell(piece, bytes, work->spelled);
    uint32_t found = ss_vocabulary_find(vocabulary, (const char *)work->spelled, length);
    if (found != SS_NO_TOKEN && vocabulary->tokens[found].flags & SS_TOKEN_MODEL)
        *id = found;
    return SS_OK;
}

enum ss_status ss_bpe_encode(const struct ss_bpe *bpe, const struct ss_vocabulary *vocabulary,
                             struct ss_bpe_work *work, const uint8_t *piece, size_t bytes,
                             struct ss_id_sink *sink)
{
    if (bpe->ignore_merges) {
        uint32_t id;
        enum ss_status status = find_whole(vocabulary, work, piece, bytes, &id);
        if (status)
            return status;
        if (id != SS_NO_TOKEN) {
            ss_id_sink_put(sink, id);
            return SS_OK;
        }
    }
    SS_ASSERT(bytes < NONE);
    enum ss_status status = reserve(work, bytes);
    if (status)
        return status;
    size_t count = make_symbols(bpe, work, piece, bytes);
    merge_all(bpe, work, count);
    for (size_t at = 0; at < count; at++)
        if (!work->symbols[at].merged_away)
            ss_id_sink_put(sink, work->symbols[at].id);
    return SS_OK;
}
