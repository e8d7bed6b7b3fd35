/* Entries: the controller's orders to a group, and reports: what ranks say back.
 *
 * Entries are numbered from 1 without gaps; every rank of the group takes them in that order, turns
 * each into stream work without waiting, and forwards it to the next stage. Placement is the
 * controller's: entries name pool pages, ranks check and never choose. Tensor-parallel peers of a
 * stage hold equal shards by construction (uneven dimensions are padded), so one placement per
 * stage serves all of them.
 *
 * Pages that an entry gives up may be named by the next one: by DROP, CLOSE, a forgetting SPILL,
 * and the places that a MOVE leaves. Ranks order what is written there behind the compute that used
 * them, a MOVE being compute. Not so where something else still uses pages: those of a copying
 * DROP, a SPILL or a RESTORE are not named again before all ranks of the stage reported it DONE,
 * nor those of a load before LOAD_ENDED. A load is not cancelled while a batch waits for its
 * chunks; after LOAD_ENDED, a DROP names the chunks that not all ranks of the stage hold.
 *
 * Generated tokens never travel in an entry: a batch names sequence slots, and the ranks keep the
 * token table. A prompt travels once, in the opening of its slot. */
#ifndef SS_PIPELINE_ENTRY_H
#define SS_PIPELINE_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define SS_STAGES_MAX   16
#define SS_TP_MAX       16
#define SS_STOP_IDS_MAX 72 /* eight eos ids and the 64 that a request may name */

enum ss_entry_kind {
    SS_ENTRY_LOAD,    /* move chunks from the arena into free pages */
    SS_ENTRY_DROP,    /* forget chunks; with copy_back, first copy them to the host */
    SS_ENTRY_MOVE,    /* compaction: pages change place between batches, on the compute stream */
    SS_ENTRY_BATCH,   /* one step of some sequences of one model */
    SS_ENTRY_PROMOTE, /* an outstanding load goes to the demand lane */
    SS_ENTRY_CANCEL,  /* an outstanding load stops between pieces */
    SS_ENTRY_SPILL, /* KV blocks of a slot go to the host's spill area; with block_count 0 they are
                       forgotten: the slot's next batch starts at position 0, from its tokens */
    SS_ENTRY_RESTORE, /* ... and come back, to the pages named */
    SS_ENTRY_CLOSE,   /* slots end: their KV pages are free after the batches before this entry */
    SS_ENTRY_STOP,    /* the last entry: finish what is queued and leave */
    SS_ENTRY_KINDS,
};

/* The same numbers as enum ss_lane of the transfer engine, which the controller does not know. */
enum ss_entry_lane { SS_ENTRY_LANE_DEMAND, SS_ENTRY_LANE_PREFETCH };

const char *ss_entry_kind_name(enum ss_entry_kind kind);

/* CHUNK counts within the stage's shard, in execution order; PAGE is its first pool page. */
struct ss_placement {
    uint16_t stage, chunk;
    uint32_t page;
};

/* Ascending by destination where ranges of one entry overlap their sources. */
struct ss_page_move {
    uint16_t stage;
    uint16_t slot;  /* what moves: a KV block of this slot, or SS_NO_SLOT for a chunk */
    uint16_t model; /* chunk moves */
    uint16_t index; /* chunk in the shard, or block in the slot's table */
    uint32_t from, to, pages;
};
#define SS_NO_SLOT UINT16_MAX

enum ss_sequence_flags {
    SS_SEQUENCE_OPEN = 1,   /* the slot starts here: an opening (prompt and parameters) follows */
    SS_SEQUENCE_SAMPLE = 2, /* the slice reaches the last known token: sample the next */
};

/* One sequence's part in a batch: COUNT tokens from POSITION on, read from the token table. At
 * position 0 the slot's block table starts anew (first prefill or recomputation). NEW_BLOCKS KV
 * blocks are appended first, at pages[stage * new_blocks + i] of this sequence's share of the
 * batch's pages. */
struct ss_batch_sequence {
    uint64_t request; /* the controller's handle of the request; opaque to ranks */
    uint16_t slot;
    uint16_t flags;
    uint32_t position, count;
    uint32_t new_blocks;
};

struct ss_entry {
    uint64_t number;
    enum ss_entry_kind kind;
    uint16_t model;       /* load, drop, batch */
    uint8_t lane;         /* load: enum ss_entry_lane */
    bool copy_back;       /* drop */
    uint64_t target;      /* promote, cancel: the load's number */
    uint16_t slot;        /* spill, restore */
    uint32_t spill_block; /* spill, restore: first block of the spill area used */
    uint32_t block_count; /* spill, restore: blocks [0, block_count) of the slot's table */

    /* Arrays that the entry's kind uses; owned by whoever made the entry. */
    uint32_t placement_count; /* load, drop (page unused) */
    const struct ss_placement *placements;
    uint32_t move_count;
    const struct ss_page_move *moves;
    uint32_t sequence_count;
    const struct ss_batch_sequence *sequences;
    uint32_t page_count; /* batch: of all sequences; restore: [stage][block_count] */
    const uint32_t *pages;
    uint32_t slot_count; /* close */
    const uint16_t *slots;
};

/* What a slot needs to know of its request; made by the front end, opaque to the controller. */
struct ss_opening {
    float temperature, top_p;
    int32_t top_k;
    uint64_t seed;
    uint32_t length_max;    /* prompt + generated tokens: the last token ends at this */
    uint32_t stop_id_count; /* eos ids and the request's stop ids */
    uint32_t eos_id_count;  /* the first so many of stop_ids are eos */
    int32_t stop_ids[SS_STOP_IDS_MAX];
    uint32_t prompt_count;
    const int32_t *prompt;
};

/* What the last stage says of a token; the sequence ends with any but NONE. */
enum ss_ending { SS_ENDING_NONE, SS_ENDING_LENGTH, SS_ENDING_EOS, SS_ENDING_STOP };

enum ss_report_kind {
    SS_REPORT_CHUNKS,     /* chunks [0, count) of the rank's part of load NUMBER are ready */
    SS_REPORT_LOAD_ENDED, /* the load is over with COUNT whole chunks (fewer after a cancel) */
    SS_REPORT_TOKENS,     /* last stage, tp rank 0: the tokens of batch NUMBER */
    SS_REPORT_DONE,       /* the rank's own part of a batch, move, spill, restore, copying drop or
                             stop is complete */
    SS_REPORT_FAILED,     /* the rank cannot go on; MESSAGE says why */
    SS_REPORT_KINDS,
};

struct ss_report_token {
    uint16_t slot;
    uint16_t finish; /* enum ss_ending */
    int32_t token;
};

struct ss_report {
    enum ss_report_kind kind;
    uint16_t rank;
    uint64_t serial; /* counts the rank's reports from 1, without gaps; 0: it does not count */
    uint64_t number;
    uint32_t count;
    uint64_t at_ns;                 /* when it became so, on the rank's clock */
    uint64_t started_ns, waited_ns; /* done batch: start of its compute; wait for chunks and
                                       peers inside it */
    uint64_t bytes_to_device;       /* weights loaded by the rank so far */
    uint64_t bytes_to_host;         /* weights that its drops copied back so far */
    uint32_t token_count;
    const struct ss_report_token *tokens;
    uint32_t message_bytes;
    const char *message; /* failed; not terminated */
};

/* Finds the opening of REQUEST while a batch entry is encoded. Never fails for a request whose
 * slot opens. */
typedef const struct ss_opening *ss_opening_lookup(void *user, uint64_t request);

/* Writes ENTRY to BUFFER; SS_FULL names the bytes needed. LOOKUP may be null if no slot opens. */
SS_MUST_CHECK enum ss_status ss_entry_encode(const struct ss_entry *entry,
                                             ss_opening_lookup *lookup, void *user, void *buffer,
                                             size_t bytes_max, size_t *bytes);

/* Room for a decoded entry's arrays; one per decoder, reused. */
struct ss_entry_storage;
SS_MUST_CHECK enum ss_status ss_entry_storage_create(size_t message_bytes_max,
                                                     struct ss_entry_storage **out);
void ss_entry_storage_destroy(struct ss_entry_storage *storage);

/* Reads what ss_entry_encode() wrote. ENTRY points into STORAGE, valid until its next use.
 * *OPENINGS has one element per sequence with SS_SEQUENCE_OPEN, in order. SS_INVALID names what is
 * wrong with a message; counts are checked against the bytes left before anything is read. */
SS_MUST_CHECK enum ss_status ss_entry_decode(const void *message, size_t bytes,
                                             struct ss_entry_storage *storage,
                                             struct ss_entry *entry,
                                             const struct ss_opening **openings,
                                             uint32_t *opening_count);

SS_MUST_CHECK enum ss_status ss_report_encode(const struct ss_report *report, void *buffer,
                                              size_t bytes_max, size_t *bytes);
SS_MUST_CHECK enum ss_status ss_report_decode(const void *message, size_t bytes,
                                              struct ss_entry_storage *storage,
                                              struct ss_report *report);

/* The first byte of a message tells what it is. A drain is that byte alone: a rank was asked, by a
 * signal, to end in order. */
enum ss_message_kind { SS_MESSAGE_ENTRY = 'e', SS_MESSAGE_REPORT = 'r', SS_MESSAGE_DRAIN = 'd' };

#endif
