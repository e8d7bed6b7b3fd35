#include "pipeline/entry/entry.h"
#include "pipeline/entry/little_endian.h"
#include "pipeline/entry/storage.h"
#include "pipeline/entry/wire_sizes.h"

/* What a decoder works on; WRONG is the first thing found that no encoder writes. */
struct decoder {
    struct ss_message_reader reader;
    struct ss_entry_storage *storage;
    const char *wrong;
};

static void check(struct decoder *decoder, bool right, const char *wrong)
{
    if (!right && !decoder->wrong)
        decoder->wrong = wrong;
}

static void get_placements(struct decoder *decoder, struct ss_entry *entry)
{
    struct ss_message_reader *reader = &decoder->reader;
    uint32_t count = ss_get_count(reader, SS_WIRE_PLACEMENT);
    struct ss_placement *placements = ss_storage_take(decoder->storage, count, sizeof *placements);
    for (uint32_t i = 0; i < count; i++) {
        placements[i].stage = (uint16_t)ss_get(reader, 2);
        placements[i].chunk = (uint16_t)ss_get(reader, 2);
        placements[i].page = (uint32_t)ss_get(reader, 4);
        check(decoder, placements[i].stage < SS_STAGES_MAX, "a placement's stage is too high");
    }
    entry->placement_count = count;
    entry->placements = placements;
}

static void get_moves(struct decoder *decoder, struct ss_entry *entry)
{
    struct ss_message_reader *reader = &decoder->reader;
    uint32_t count = ss_get_count(reader, SS_WIRE_MOVE);
    struct ss_page_move *moves = ss_storage_take(decoder->storage, count, sizeof *moves);
    for (uint32_t i = 0; i < count; i++) {
        moves[i].stage = (uint16_t)ss_get(reader, 2);
        moves[i].slot = (uint16_t)ss_get(reader, 2);
        moves[i].model = (uint16_t)ss_get(reader, 2);
        moves[i].index = (uint16_t)ss_get(reader, 2);
        moves[i].from = (uint32_t)ss_get(reader, 4);
        moves[i].to = (uint32_t)ss_get(reader, 4);
        moves[i].pages = (uint32_t)ss_get(reader, 4);
        check(decoder, moves[i].stage < SS_STAGES_MAX, "a move's stage is too high");
    }
    entry->move_count = count;
    entry->moves = moves;
}

static void get_pages(struct decoder *decoder, struct ss_entry *entry, uint64_t blocks)
{
    struct ss_message_reader *reader = &decoder->reader;
    uint32_t count = ss_get_count(reader, SS_WIRE_PAGE);
    uint32_t *pages = ss_storage_take(decoder->storage, count, sizeof *pages);
    for (uint32_t i = 0; i < count; i++)
        pages[i] = (uint32_t)ss_get(reader, 4);
    check(decoder,
          blocks == 0 ? count == 0 : count % blocks == 0 && count / blocks <= SS_STAGES_MAX,
          "the pages are not a number of stages times the blocks");
    entry->page_count = count;
    entry->pages = pages;
}

static void get_opening(struct decoder *decoder, struct ss_opening *opening)
{
    struct ss_message_reader *reader = &decoder->reader;
    *opening = (struct ss_opening){.temperature = ss_get_float(reader)};
    opening->top_p = ss_get_float(reader);
    opening->top_k = (int32_t)ss_get(reader, 4);
    opening->seed = ss_get(reader, 8);
    opening->length_max = (uint32_t)ss_get(reader, 4);
    opening->stop_id_count = (uint32_t)ss_get(reader, 1);
    opening->eos_id_count = (uint32_t)ss_get(reader, 1);
    check(decoder, opening->stop_id_count <= SS_STOP_IDS_MAX, "an opening has too many stop ids");
    check(decoder, opening->eos_id_count <= opening->stop_id_count,
          "an opening has more eos ids than stop ids");
    for (uint32_t i = 0; i < opening->stop_id_count && i < SS_STOP_IDS_MAX; i++)
        opening->stop_ids[i] = (int32_t)ss_get(reader, 4);
    opening->prompt_count = ss_get_count(reader, SS_WIRE_TOKEN_ID);
    int32_t *prompt = ss_storage_take(decoder->storage, opening->prompt_count, sizeof *prompt);
    for (uint32_t i = 0; i < opening->prompt_count; i++)
        prompt[i] = (int32_t)ss_get(reader, 4);
    opening->prompt = prompt;
}

/* Temperature, top_p, top_k, seed, length, two counts of ids, count of the prompt. */
#define OPENING_BYTES_MIN (4 + 4 + 4 + 8 + 4 + 1 + 1 + 4)

static void get_batch(struct decoder *decoder, struct ss_entry *entry,
                      const struct ss_opening **openings, uint32_t *opening_count)
{
    struct ss_message_reader *reader = &decoder->reader;
    entry->model = (uint16_t)ss_get(reader, 2);
    uint32_t count = ss_get_count(reader, SS_WIRE_SEQUENCE), opens = 0;
    struct ss_batch_sequence *sequences =
        ss_storage_take(decoder->storage, count, sizeof *sequences);
    uint64_t blocks = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct ss_batch_sequence *sequence = &sequences[i];
        sequence->request = ss_get(reader, 8);
        sequence->slot = (uint16_t)ss_get(reader, 2);
        sequence->flags = (uint16_t)ss_get(reader, 2);
        sequence->position = (uint32_t)ss_get(reader, 4);
        sequence->count = (uint32_t)ss_get(reader, 4);
        sequence->new_blocks = (uint32_t)ss_get(reader, 4);
        check(decoder, !(sequence->flags & ~(SS_SEQUENCE_OPEN | SS_SEQUENCE_SAMPLE)),
              "a sequence has unknown flags");
        opens += sequence->flags & SS_SEQUENCE_OPEN ? 1 : 0;
        blocks += sequence->new_blocks;
    }
    entry->sequence_count = count;
    entry->sequences = sequences;
    get_pages(decoder, entry, blocks);
    if (reader->failed || decoder->wrong || opens > reader->left / OPENING_BYTES_MIN) {
        reader->failed = true;
        return;
    }
    struct ss_opening *made = ss_storage_take(decoder->storage, opens, sizeof *made);
    for (uint32_t i = 0; i < opens; i++)
        get_opening(decoder, &made[i]);
    *openings = made;
    *opening_count = opens;
}

static void get_spill(struct decoder *decoder, struct ss_entry *entry)
{
    entry->slot = (uint16_t)ss_get(&decoder->reader, 2);
    entry->spill_block = (uint32_t)ss_get(&decoder->reader, 4);
    entry->block_count = (uint32_t)ss_get(&decoder->reader, 4);
    if (entry->kind == SS_ENTRY_RESTORE)
        get_pages(decoder, entry, entry->block_count);
}

static void get_slots(struct decoder *decoder, struct ss_entry *entry)
{
    uint32_t count = ss_get_count(&decoder->reader, SS_WIRE_SLOT);
    uint16_t *slots = ss_storage_take(decoder->storage, count, sizeof *slots);
    for (uint32_t i = 0; i < count; i++)
        slots[i] = (uint16_t)ss_get(&decoder->reader, 2);
    entry->slot_count = count;
    entry->slots = slots;
}

static void get_body(struct decoder *decoder, struct ss_entry *entry,
                     const struct ss_opening **openings, uint32_t *opening_count)
{
    struct ss_message_reader *reader = &decoder->reader;
    switch (entry->kind) {
    case SS_ENTRY_LOAD:
        entry->model = (uint16_t)ss_get(reader, 2);
        entry->lane = (uint8_t)ss_get(reader, 1);
        check(decoder, entry->lane <= SS_ENTRY_LANE_PREFETCH, "the lane is unknown");
        get_placements(decoder, entry);
        return;
    case SS_ENTRY_DROP:
        entry->model = (uint16_t)ss_get(reader, 2);
        uint64_t copy_back = ss_get(reader, 1);
        check(decoder, copy_back <= 1, "copy_back is neither 0 nor 1");
        entry->copy_back = copy_back == 1;
        get_placements(decoder, entry);
        return;
    case SS_ENTRY_MOVE:
        get_moves(decoder, entry);
        return;
    case SS_ENTRY_BATCH:
        get_batch(decoder, entry, openings, opening_count);
        return;
    case SS_ENTRY_PROMOTE:
    case SS_ENTRY_CANCEL:
        entry->target = ss_get(reader, 8);
        return;
    case SS_ENTRY_SPILL:
    case SS_ENTRY_RESTORE:
        get_spill(decoder, entry);
        return;
    case SS_ENTRY_CLOSE:
        get_slots(decoder, entry);
        return;
    case SS_ENTRY_STOP:
        return;
    case SS_ENTRY_KINDS:
        break;
    }
    check(decoder, false, "the kind is unknown");
}

enum ss_status ss_entry_decode(const void *message, size_t bytes, struct ss_entry_storage *storage,
                               struct ss_entry *entry, const struct ss_opening **openings,
                               uint32_t *opening_count)
{
    if (bytes > storage->message_bytes_max)
        return ss_fail(SS_INVALID, "an entry message of %zu bytes, expected at most %zu", bytes,
                       storage->message_bytes_max);
    storage->used = 0;
    struct decoder decoder = {.reader = {.bytes = message, .left = bytes}, .storage = storage};
    struct ss_message_reader *reader = &decoder.reader;
    check(&decoder, ss_get(reader, 1) == SS_MESSAGE_ENTRY, "it does not start as an entry");
    struct ss_entry made = {.kind = (enum ss_entry_kind)ss_get(reader, 1)};
    made.number = ss_get(reader, 8);
    check(&decoder, made.number > 0, "its number is 0");
    const struct ss_opening *made_openings = 0;
    uint32_t made_count = 0;
    if (!reader->failed && !decoder.wrong)
        get_body(&decoder, &made, &made_openings, &made_count);
    if (decoder.wrong)
        return ss_fail(SS_INVALID, "entry %llu of kind %d (%s): %s",
                       (unsigned long long)made.number, (int)made.kind,
                       ss_entry_kind_name(made.kind), decoder.wrong);
    if (reader->failed || reader->left > 0)
        return ss_fail(SS_INVALID, "entry %llu of kind %s: %s in a message of %zu bytes",
                       (unsigned long long)made.number, ss_entry_kind_name(made.kind),
                       reader->failed ? "more is announced than there is" : "bytes are left over",
                       bytes);
    *entry = made;
    *openings = made_openings;
    *opening_count = made_count;
    return SS_OK;
}
