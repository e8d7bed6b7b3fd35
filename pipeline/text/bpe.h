/* Byte pair encoding of one piece of text (Sennrich, Haddow, Birch, "Neural Machine Translation of
 * Rare Words with Subword Units", ACL 2016), over bytes. */
#ifndef SS_PIPELINE_TEXT_BPE_H
#define SS_PIPELINE_TEXT_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "pipeline/text/json_place.h"
#include "pipeline/text/vocabulary.h"

/* The pair (left, right) becomes MERGED; of two possible merges, the lower RANK goes first. */
struct ss_merge {
    uint32_t left, right, rank, merged; /* merged: SS_NO_TOKEN in a free slot */
};

struct ss_bpe {
    uint32_t byte_ids[256];  /* SS_NO_TOKEN: the byte has no token */
    uint32_t unknown_id;     /* for such bytes; SS_NO_TOKEN: they are left out */
    bool fuse_unknown;       /* one for a row of them */
    bool ignore_merges;      /* a piece that is a token is that token, whatever the merges say */
    struct ss_merge *merges; /* open addressing by pair; a power of two */
    size_t merges_slots;
};

/* Where ids go. Those beyond ROOM are counted and not kept. */
struct ss_id_sink {
    uint32_t *ids;
    size_t room, count;
};

struct ss_bpe_symbol;
struct ss_bpe_candidate;

/* Working memory of one thread, reused from piece to piece; all zero at first. */
struct ss_bpe_work {
    struct ss_bpe_symbol *symbols;
    struct ss_bpe_candidate *heap;
    uint8_t *spelled;
    size_t symbols_room, heap_room, heap_count, spelled_room;
};

/* Reads the "model" at PLACE: its vocabulary into *VOCABULARY, which is empty, the rest into *OUT.
 */
SS_MUST_CHECK enum ss_status ss_bpe_load(const struct ss_json_place *place,
                                         struct ss_vocabulary *vocabulary, struct ss_bpe *out);
void ss_bpe_free(struct ss_bpe *bpe);

/* Makes an empty table for COUNT merges. */
SS_MUST_CHECK enum ss_status ss_bpe_merges_create(struct ss_bpe *bpe, size_t count);

/* Enters a merge, in place of an earlier one of the same pair. */
void ss_bpe_merges_put(struct ss_bpe *bpe, const struct ss_merge *merge);

void ss_bpe_work_free(struct ss_bpe_work *work);

static inline void ss_id_sink_put(struct ss_id_sink *sink, uint32_t id)
{
    if (sink->count < sink->room)
        sink->ids[sink->count] = id;
    sink->count++;
}

/* Encodes the BYTES (1 at least) at PIECE into *SINK, in O(BYTES log BYTES). */
SS_MUST_CHECK enum ss_status ss_bpe_encode(const struct ss_bpe *bpe,
                                           const struct ss_vocabulary *vocabulary,
                                           struct ss_bpe_work *work, const uint8_t *piece,
                                           size_t bytes, struct ss_id_sink *sink);

#endif
