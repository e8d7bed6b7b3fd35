/* Entries and reports over the wire: what is written is read back; what is cut or changed is
 * refused, or is another message that writes itself the same. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/random.h"
#include "pipeline/entry/entry.h"

#define MESSAGE_BYTES_MAX 4096

static struct ss_entry_storage *storage;

static void setup(void)
{
    cr_assert_eq(ss_entry_storage_create(MESSAGE_BYTES_MAX, &storage), SS_OK);
}

static void teardown(void)
{
    ss_entry_storage_destroy(storage);
}

TestSuite(entry_codec, .init = setup, .fini = teardown);

static const struct ss_placement placements[] = {{0, 0, 7}, {1, 2, 99}, {15, 65535, 4000000000u}};
static const struct ss_page_move moves[] = {{0, SS_NO_SLOT, 3, 4, 100, 50, 8},
                                            {1, 9, 3, 1, 7, 6, 1}};
static const uint32_t pages[] = {1, 2, 3, 4, 5, 6, 7, 0xffffffffu};
static const uint16_t slots[] = {0, 17, 65534};
static const struct ss_batch_sequence sequences[] = {
    {0x1122334455667788, 5, SS_SEQUENCE_OPEN | SS_SEQUENCE_SAMPLE, 0, 3, 2},
    {2, 6, SS_SEQUENCE_SAMPLE, 41, 1, 0},
    {3, 7, SS_SEQUENCE_OPEN, 0, 64, 2},
};
static const int32_t prompt[] = {11, -1, 50000};
static const struct ss_opening opening_a = {
    .temperature = 0.7f,
    .top_p = 0.9f,
    .top_k = -1,
    .seed = UINT64_MAX,
    .length_max = 77,
    .stop_id_count = 2,
    .eos_id_count = 1,
    .stop_ids = {2, 13},
    .prompt_count = 3,
    .prompt = prompt,
};
static const struct ss_opening opening_b = {.seed = 4, .prompt_count = 1, .prompt = prompt + 2};

static const struct ss_opening *lookup(void *user, uint64_t request)
{
    (void)user;
    return request == 3 ? &opening_b : &opening_a;
}

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct ss_entry entries[] = {
    {.number = 1,
     .kind = SS_ENTRY_LOAD,
     .model = 513,
     .lane = SS_ENTRY_LANE_PREFETCH,
     .placement_count = COUNT(placements),
     .placements = placements},
    {.number = 2,
     .kind = SS_ENTRY_DROP,
     .model = 1,
     .copy_back = true,
     .placement_count = COUNT(placements),
     .placements = placements},
    {.number = 3, .kind = SS_ENTRY_MOVE, .move_count = COUNT(moves), .moves = moves},
    {.number = UINT64_MAX,
     .kind = SS_ENTRY_BATCH,
     .model = 2,
     .sequence_count = COUNT(sequences),
     .sequences = sequences,
     .page_count = 8,
     .pages = pages},
    {.number = 5, .kind = SS_ENTRY_PROMOTE, .target = 1},
    {.number = 6, .kind = SS_ENTRY_CANCEL, .target = 1},
    {.number = 7, .kind = SS_ENTRY_SPILL, .slot = 9, .spill_block = 70000, .block_count = 4},
    {.number = 8,
     .kind = SS_ENTRY_RESTORE,
     .slot = 9,
     .spill_block = 70000,
     .block_count = 4,
     .page_count = 8,
     .pages = pages},
    {.number = 9, .kind = SS_ENTRY_CLOSE, .slot_count = COUNT(slots), .slots = slots},
    {.number = 10, .kind = SS_ENTRY_STOP},
};

static const struct ss_report_token tokens[] = {{1, SS_ENDING_NONE, 5}, {2, SS_ENDING_EOS, -3}};

static const struct ss_report reports[] = {
    {.kind = SS_REPORT_CHUNKS,
     .rank = 3,
     .serial = 1ull << 40,
     .number = 4,
     .count = 5,
     .at_ns = 6},
    {.kind = SS_REPORT_LOAD_ENDED, .number = UINT64_MAX, .count = UINT32_MAX},
    {.kind = SS_REPORT_TOKENS, .number = 9, .token_count = COUNT(tokens), .tokens = tokens},
    {.kind = SS_REPORT_DONE,
     .number = 10,
     .at_ns = 1,
     .started_ns = 2,
     .waited_ns = 3,
     .bytes_to_device = 4,
     .bytes_to_host = 5},
    {.kind = SS_REPORT_FAILED, .rank = 1, .message_bytes = 7, .message = "no\0disk"},
};

static size_t encode(const struct ss_entry *entry, uint8_t *buffer)
{
    size_t bytes = 0;
    cr_assert_eq(ss_entry_encode(entry, lookup, 0, buffer, MESSAGE_BYTES_MAX, &bytes), SS_OK, "%s",
                 ss_status_message());
    return bytes;
}

static void same_opening(const struct ss_opening *a, const struct ss_opening *b)
{
    cr_assert_eq(a->temperature, b->temperature);
    cr_assert_eq(a->top_p, b->top_p);
    cr_assert_eq(a->top_k, b->top_k);
    cr_assert_eq(a->seed, b->seed);
    cr_assert_eq(a->length_max, b->length_max);
    cr_assert_eq(a->stop_id_count, b->stop_id_count);
    cr_assert_eq(a->eos_id_count, b->eos_id_count);
    cr_assert_eq(memcmp(a->stop_ids, b->stop_ids, sizeof a->stop_ids), 0);
    cr_assert_eq(a->prompt_count, b->prompt_count);
    cr_assert_eq(memcmp(a->prompt, b->prompt, a->prompt_count * sizeof *a->prompt), 0);
}

#define SAME_ARRAY(a, b, array, count)                                                        \
    do {                                                                                      \
        cr_assert_eq((a)->count, (b)->count);                                                 \
        if ((a)->count > 0)                                                                   \
            cr_assert_eq(memcmp((a)->array, (b)->array, (a)->count * sizeof *(a)->array), 0); \
    } while (0)

static void same_entry(const struct ss_entry *a, const struct ss_entry *b)
{
    cr_assert_eq(a->number, b->number);
    cr_assert_eq(a->kind, b->kind);
    cr_assert_eq(a->model, b->model);
    cr_assert_eq(a->lane, b->lane);
    cr_assert_eq(a->copy_back, b->copy_back);
    cr_assert_eq(a->target, b->target);
    cr_assert_eq(a->slot, b->slot);
    cr_assert_eq(a->spill_block, b->spill_block);
    cr_assert_eq(a->block_count, b->block_count);
    SAME_ARRAY(a, b, placements, placement_count);
    SAME_ARRAY(a, b, moves, move_count);
    SAME_ARRAY(a, b, sequences, sequence_count);
    SAME_ARRAY(a, b, pages, page_count);
    SAME_ARRAY(a, b, slots, slot_count);
}

Test(entry_codec, entries_come_back)
{
    cr_assert_eq(COUNT(entries), SS_ENTRY_KINDS, "every kind is tried");
    for (size_t i = 0; i < COUNT(entries); i++) {
        uint8_t buffer[MESSAGE_BYTES_MAX];
        size_t bytes = encode(&entries[i], buffer);
        cr_assert_eq(buffer[0], SS_MESSAGE_ENTRY);
        struct ss_entry entry;
        const struct ss_opening *openings;
        uint32_t opening_count = 99;
        cr_assert_eq(ss_entry_decode(buffer, bytes, storage, &entry, &openings, &opening_count),
                     SS_OK, "%s", ss_status_message());
        same_entry(&entries[i], &entry);
        cr_assert_eq(opening_count, entry.kind == SS_ENTRY_BATCH ? 2 : 0);
        if (opening_count == 2) {
            same_opening(&openings[0], &opening_a);
            same_opening(&openings[1], &opening_b);
        }
    }
}

Test(entry_codec, reports_come_back)
{
    cr_assert_eq(COUNT(reports), SS_REPORT_KINDS, "every kind is tried");
    for (size_t i = 0; i < COUNT(reports); i++) {
        uint8_t buffer[MESSAGE_BYTES_MAX];
        size_t bytes;
        cr_assert_eq(ss_report_encode(&reports[i], buffer, sizeof buffer, &bytes), SS_OK);
        cr_assert_eq(buffer[0], SS_MESSAGE_REPORT);
        struct ss_report report;
        cr_assert_eq(ss_report_decode(buffer, bytes, storage, &report), SS_OK);
        cr_assert_eq(report.kind, reports[i].kind);
        cr_assert_eq(report.rank, reports[i].rank);
        cr_assert_eq(report.serial, reports[i].serial);
        cr_assert_eq(report.number, reports[i].number);
        cr_assert_eq(report.count, reports[i].count);
        cr_assert_eq(report.at_ns, reports[i].at_ns);
        cr_assert_eq(report.started_ns, reports[i].started_ns);
        cr_assert_eq(report.waited_ns, reports[i].waited_ns);
        cr_assert_eq(report.bytes_to_device, reports[i].bytes_to_device);
        cr_assert_eq(report.bytes_to_host, reports[i].bytes_to_host);
        SAME_ARRAY(&reports[i], &report, tokens, token_count);
        SAME_ARRAY(&reports[i], &report, message, message_bytes);
    }
}

Test(entry_codec, a_small_buffer_is_told_the_bytes_needed)
{
    uint8_t buffer[MESSAGE_BYTES_MAX];
    size_t bytes = encode(&entries[3], buffer), untouched = 12345;
    for (size_t room = 0; room < bytes; room++)
        cr_assert_eq(ss_entry_encode(&entries[3], lookup, 0, buffer, room, &untouched), SS_FULL);
    cr_assert_eq(untouched, 12345);
    char needed[32];
    snprintf(needed, sizeof needed, "takes %zu bytes", bytes);
    cr_assert(strstr(ss_status_message(), needed), "%s", ss_status_message());
}

Test(entry_codec, every_cut_is_refused)
{
    struct ss_entry entry;
    struct ss_report report;
    const struct ss_opening *openings;
    uint32_t opening_count;
    for (size_t i = 0; i < COUNT(entries); i++) {
        uint8_t buffer[MESSAGE_BYTES_MAX];
        size_t bytes = encode(&entries[i], buffer);
        for (size_t cut = 0; cut < bytes; cut++) {
            /* A copy of its own size, so that a sanitizer sees a read past the cut. */
            uint8_t *part = malloc(cut + 1);
            memcpy(part, buffer, cut);
            cr_assert_eq(ss_entry_decode(part, cut, storage, &entry, &openings, &opening_count),
                         SS_INVALID, "kind %zu cut at %zu", i, cut);
            free(part);
        }
        cr_assert_eq(ss_entry_decode(buffer, bytes + 1, storage, &entry, &openings, &opening_count),
                     SS_INVALID, "a byte too many");
    }
    for (size_t i = 0; i < COUNT(reports); i++) {
        uint8_t buffer[MESSAGE_BYTES_MAX] = {0};
        size_t bytes;
        cr_assert_eq(ss_report_encode(&reports[i], buffer, sizeof buffer, &bytes), SS_OK);
        for (size_t cut = 0; cut < bytes; cut++)
            cr_assert_eq(ss_report_decode(buffer, cut, storage, &report), SS_INVALID);
        cr_assert_eq(ss_report_decode(buffer, bytes + 1, storage, &report), SS_INVALID);
    }
}

static const struct ss_opening *decoded_openings;

static const struct ss_opening *next_opening(void *user, uint64_t request)
{
    (void)request;
    return &decoded_openings[(*(uint32_t *)user)++];
}

/* Whatever is accepted must write itself back to the same bytes. */
static bool try_changed(const uint8_t *changed, size_t bytes)
{
    struct ss_entry entry;
    uint32_t opening_count, next = 0;
    if (ss_entry_decode(changed, bytes, storage, &entry, &decoded_openings, &opening_count) !=
        SS_OK)
        return false;
    uint8_t again[MESSAGE_BYTES_MAX];
    size_t again_bytes;
    cr_assert_eq(ss_entry_encode(&entry, next_opening, &next, again, sizeof again, &again_bytes),
                 SS_OK);
    cr_assert_eq(next, opening_count);
    cr_assert_eq(again_bytes, bytes);
    cr_assert_eq(memcmp(again, changed, bytes), 0);
    return true;
}

Test(entry_codec, a_changed_byte_is_refused_or_another_message)
{
    int accepted = 0, refused = 0;
    for (size_t i = 0; i < COUNT(entries); i++) {
        uint8_t buffer[MESSAGE_BYTES_MAX];
        size_t bytes = encode(&entries[i], buffer);
        for (size_t at = 0; at < bytes; at++)
            for (int value = 0; value < 256; value++) {
                uint8_t changed[MESSAGE_BYTES_MAX];
                memcpy(changed, buffer, bytes);
                changed[at] = (uint8_t)value;
                *(try_changed(changed, bytes) ? &accepted : &refused) += 1;
            }
        for (uint64_t seed = 0; seed < 2000; seed++) {
            uint8_t changed[MESSAGE_BYTES_MAX];
            memcpy(changed, buffer, bytes);
            for (uint64_t n = 0; n < 4; n++)
                changed[ss_random_u64(seed, 2 * n) % bytes] =
                    (uint8_t)ss_random_u64(seed, 2 * n + 1);
            try_changed(changed, bytes);
        }
    }
    cr_assert_gt(accepted, 1000);
    cr_assert_gt(refused, 1000);
}

Test(entry_codec, lies_are_named)
{
    struct {
        size_t entry, at;
        uint8_t value;
        const char *message;
    } lies[] = {
        {0, 0, 'r', "does not start as an entry"},
        {0, 1, SS_ENTRY_KINDS, "kind is unknown"},
        {0, 2, 0, "number is 0"},
        {0, 12, 2, "lane is unknown"},
        {0, 16, 255, "more is announced"},
        {0, 17, 16, "stage is too high"},
        {1, 12, 2, "copy_back"},
        {3, 26, 8, "unknown flags"},
        {7, 16, 3, "number of stages times"},
    };
    for (size_t i = 0; i < COUNT(lies); i++) {
        uint8_t buffer[MESSAGE_BYTES_MAX];
        size_t bytes = encode(&entries[lies[i].entry], buffer);
        buffer[lies[i].at] = lies[i].value;
        struct ss_entry entry;
        const struct ss_opening *openings;
        uint32_t opening_count;
        cr_assert_eq(ss_entry_decode(buffer, bytes, storage, &entry, &openings, &opening_count),
                     SS_INVALID, "lie %zu", i);
        cr_assert(strstr(ss_status_message(), lies[i].message), "lie %zu: %s", i,
                  ss_status_message());
    }
}
