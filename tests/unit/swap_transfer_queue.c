/* The pure choice of the next piece: lanes, blocking, cancelling, watermarks. */
#include <criterion/criterion.h>

#include "engine/base/fault.h"
#include "swap/transfer_queue.h"

#define PIECE 100

static struct ss_transfer_queue *queue;

static void create(void)
{
    cr_assert_eq(ss_transfer_queue_create(PIECE, 4, 3, &queue), SS_OK);
}

static void destroy(void)
{
    ss_transfer_queue_destroy(queue);
}

TestSuite(transfer_queue, .init = create, .fini = destroy);

static char source[1000];
/* Destinations at or above this are taken: tests move it. */
static ss_device_address taken_from;

static bool below(void *user, const struct ss_transfer_chunk *chunk)
{
    (void)user;
    return chunk->to < taken_from;
}

static enum ss_status add(uint64_t number, enum ss_lane lane, int count, size_t bytes,
                          ss_device_address to)
{
    struct ss_transfer_chunk chunks[4];
    for (int i = 0; i < count; i++)
        chunks[i] = (struct ss_transfer_chunk){
            .from = source + i, .to = to + (ss_device_address)i * 1000, .bytes = bytes};
    return ss_transfer_queue_add(queue, number, lane, chunks, count);
}

static enum ss_transfer_choice next(struct ss_transfer_piece *piece)
{
    const struct ss_transfer_chunk *blocked;
    return ss_transfer_queue_next(queue, below, 0, piece, &blocked);
}

static uint64_t next_number(void)
{
    struct ss_transfer_piece piece = {0};
    cr_assert_eq(next(&piece), SS_TRANSFER_PIECE);
    ss_transfer_queue_complete(queue, &piece);
    return piece.number;
}

static bool take_ended(uint64_t number, int count, enum ss_status status)
{
    uint64_t ended_number = 0;
    int ended_count = -1;
    enum ss_status ended_status = SS_INTERNAL;
    return ss_transfer_queue_take_ended(queue, &ended_number, &ended_count, &ended_status) &&
           ended_number == number && ended_count == count && ended_status == status;
}

Test(transfer_queue, cuts_chunks_into_pieces)
{
    struct ss_transfer_piece piece;
    taken_from = UINT64_MAX;
    cr_assert_eq(next(&piece), SS_TRANSFER_IDLE);
    cr_assert_eq(add(1, SS_LANE_DEMAND, 2, 250, 5000), SS_OK);
    static const struct {
        int chunk;
        size_t offset, bytes;
        bool last;
    } expected[] = {{0, 0, 100, false}, {0, 100, 100, false}, {0, 200, 50, true},
                    {1, 0, 100, false}, {1, 100, 100, false}, {1, 200, 50, true}};
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(next(&piece), SS_TRANSFER_PIECE);
        cr_assert_eq(piece.chunk, expected[i].chunk);
        cr_assert_eq(piece.bytes, expected[i].bytes);
        cr_assert_eq(piece.last, expected[i].last);
        cr_assert_eq((const char *)piece.from, source + expected[i].chunk + expected[i].offset);
        cr_assert_eq(piece.to,
                     5000 + 1000 * (ss_device_address)expected[i].chunk + expected[i].offset);
        cr_assert_eq(ss_transfer_queue_complete(queue, &piece),
                     expected[i].last ? expected[i].chunk + 1 : 0);
    }
    cr_assert_eq(next(&piece), SS_TRANSFER_IDLE);
    cr_assert(take_ended(1, 2, SS_OK));
    cr_assert_not(take_ended(1, 2, SS_OK));
}

Test(transfer_queue, whole_pieces_and_empty_chunks_end)
{
    struct ss_transfer_piece piece;
    taken_from = UINT64_MAX;
    cr_assert_eq(add(1, SS_LANE_DEMAND, 1, 2 * PIECE, 0), SS_OK);
    cr_assert_eq(add(2, SS_LANE_DEMAND, 1, 0, 0), SS_OK);
    cr_assert_eq(add(3, SS_LANE_DEMAND, 0, 0, 0), SS_OK);
    cr_assert(take_ended(3, 0, SS_OK));
    cr_assert_eq(next(&piece), SS_TRANSFER_PIECE);
    cr_assert_not(piece.last);
    cr_assert_eq(ss_transfer_queue_complete(queue, &piece), 0);
    cr_assert_eq(next(&piece), SS_TRANSFER_PIECE);
    cr_assert(piece.last && piece.bytes == PIECE);
    cr_assert_eq(ss_transfer_queue_complete(queue, &piece), 1);
    cr_assert_eq(next(&piece), SS_TRANSFER_PIECE);
    cr_assert(piece.number == 2 && piece.last && piece.bytes == 0);
    cr_assert_eq(ss_transfer_queue_complete(queue, &piece), 1);
    cr_assert_eq(next(&piece), SS_TRANSFER_IDLE);
}

Test(transfer_queue, demand_goes_before_prefetch_between_pieces)
{
    taken_from = UINT64_MAX;
    cr_assert_eq(add(1, SS_LANE_PREFETCH, 1, 500, 0), SS_OK);
    cr_assert_eq(next_number(), 1);
    cr_assert_eq(add(2, SS_LANE_DEMAND, 1, 200, 0), SS_OK);
    cr_assert_eq(add(3, SS_LANE_DEMAND, 1, 200, 0), SS_OK);
    static const uint64_t order[] = {2, 2, 3, 3, 1, 1, 1, 1};
    for (int i = 0; i < 8; i++)
        cr_assert_eq(next_number(), order[i], "piece %d", i);
}

Test(transfer_queue, promotion_goes_behind_what_is_there)
{
    taken_from = UINT64_MAX;
    cr_assert_eq(add(1, SS_LANE_PREFETCH, 1, 100, 0), SS_OK);
    cr_assert_eq(add(2, SS_LANE_PREFETCH, 1, 200, 0), SS_OK);
    cr_assert_eq(add(3, SS_LANE_DEMAND, 1, 100, 0), SS_OK);
    ss_transfer_queue_promote(queue, 2);
    ss_transfer_queue_promote(queue, 2);
    ss_transfer_queue_promote(queue, 77);
    cr_assert_eq(add(4, SS_LANE_DEMAND, 1, 100, 0), SS_OK);
    static const uint64_t order[] = {3, 2, 2, 4, 1};
    for (int i = 0; i < 5; i++)
        cr_assert_eq(next_number(), order[i], "piece %d", i);
}

Test(transfer_queue, a_blocked_destination_is_passed_over)
{
    struct ss_transfer_piece piece;
    const struct ss_transfer_chunk *blocked = 0;
    taken_from = 1000;
    cr_assert_eq(add(1, SS_LANE_DEMAND, 1, 100, 9000), SS_OK);
    cr_assert_eq(add(2, SS_LANE_DEMAND, 2, 100, 500), SS_OK); /* its second chunk is blocked */
    cr_assert_eq(add(3, SS_LANE_PREFETCH, 1, 100, 0), SS_OK);
    cr_assert_eq(next_number(), 2);
    cr_assert_eq(next_number(), 3);
    cr_assert_eq(ss_transfer_queue_next(queue, below, 0, &piece, &blocked), SS_TRANSFER_BLOCKED);
    cr_assert_eq(blocked->to, 9000);
    taken_from = 2000;
    cr_assert_eq(next_number(), 2);
    taken_from = UINT64_MAX;
    cr_assert_eq(next_number(), 1);
}

Test(transfer_queue, a_begun_chunk_is_not_asked_about_again)
{
    taken_from = UINT64_MAX;
    cr_assert_eq(add(1, SS_LANE_DEMAND, 1, 300, 5000), SS_OK);
    cr_assert_eq(next_number(), 1);
    taken_from = 0;
    cr_assert_eq(next_number(), 1);
}

Test(transfer_queue, a_cancel_waits_for_pieces_under_way)
{
    struct ss_transfer_piece first, second, none;
    taken_from = UINT64_MAX;
    cr_assert_eq(add(1, SS_LANE_DEMAND, 3, 100, 0), SS_OK);
    cr_assert_eq(next(&first), SS_TRANSFER_PIECE);
    cr_assert_eq(next(&second), SS_TRANSFER_PIECE);
    ss_transfer_queue_cancel(queue, 1);
    cr_assert_eq(next(&none), SS_TRANSFER_IDLE);
    cr_assert_not(take_ended(1, 0, SS_CANCELLED));
    cr_assert_eq(ss_transfer_queue_complete(queue, &first), 1);
    cr_assert_not(take_ended(1, 1, SS_CANCELLED));
    cr_assert_eq(ss_transfer_queue_complete(queue, &second), 2);
    cr_assert(take_ended(1, 2, SS_CANCELLED));
}

Test(transfer_queue, a_cancel_too_late_is_no_cancel)
{
    struct ss_transfer_piece piece;
    taken_from = UINT64_MAX;
    cr_assert_eq(add(1, SS_LANE_DEMAND, 1, 100, 0), SS_OK);
    cr_assert_eq(next(&piece), SS_TRANSFER_PIECE);
    ss_transfer_queue_cancel(queue, 1);
    cr_assert_eq(ss_transfer_queue_complete(queue, &piece), 1);
    cr_assert(take_ended(1, 1, SS_OK));
}

Test(transfer_queue, refuses_what_does_not_fit)
{
    taken_from = UINT64_MAX;
    for (uint64_t n = 1; n <= 4; n++)
        cr_assert_eq(add(n, SS_LANE_DEMAND, 1, 100, 0), SS_OK);
    cr_assert_eq(add(5, SS_LANE_DEMAND, 1, 100, 0), SS_FULL);
    cr_assert_eq(add(4, SS_LANE_DEMAND, 1, 100, 0), SS_INVALID);
    cr_assert_eq(add(6, SS_LANE_DEMAND, 4, 100, 0), SS_INVALID);
    ss_transfer_queue_cancel(queue, 2);
    cr_assert(take_ended(2, 0, SS_CANCELLED));
    cr_assert_eq(add(5, SS_LANE_DEMAND, 1, 100, 0), SS_OK);
}

Test(transfer_queue_create, fails_cleanly)
{
    struct ss_transfer_queue *made = 0;
    cr_assert_eq(ss_transfer_queue_create(0, 1, 1, &made), SS_INVALID);
    bool done = false;
    for (uint64_t nth = 1; !done; nth++) {
        ss_fault_arm(SS_FAULT_ALLOC, nth);
        enum ss_status status = ss_transfer_queue_create(PIECE, 3, 3, &made);
        done = ss_fault_count(SS_FAULT_ALLOC) < nth;
        ss_fault_arm(SS_FAULT_ALLOC, 0);
        cr_assert_eq(status, done ? SS_OK : SS_NO_MEMORY);
        cr_assert_eq(made != 0, done);
    }
    ss_transfer_queue_destroy(made);
}
