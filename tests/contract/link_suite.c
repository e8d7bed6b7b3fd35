#include "tests/contract/link_suite.h"

#include <stdbool.h>
#include <string.h>

#include "engine/base/clock.h"

#define PATIENCE_NS (20 * SS_NS_PER_S)

/* Byte I of message SEQ from FROM to TO. */
static unsigned char byte_of(int from, int to, uint32_t seq, size_t i)
{
    return (unsigned char)(seq * 31 + (uint32_t)from * 7 + (uint32_t)to * 3 + i * 5);
}

static void fill(unsigned char *data, size_t bytes, int from, int to, uint32_t seq)
{
    for (size_t i = 0; i < bytes; i++)
        data[i] = byte_of(from, to, seq, i);
}

static void verify(const unsigned char *data, size_t bytes, int from, int to, uint32_t seq)
{
    for (size_t i = 0; i < bytes; i++)
        CHECK(data[i] == byte_of(from, to, seq, i), "rank %d, message %u from %d, byte %zu of %zu",
              to, seq, from, i, bytes);
}

void link_take(struct ss_link *link, int *peer, void *buffer, size_t *bytes)
{
    uint64_t deadline_ns = ss_now_ns() + PATIENCE_NS;
    enum ss_status status;
    while ((status = link->table->receive(link, peer, buffer, bytes)) == SS_EMPTY) {
        CHECK(ss_now_ns() < deadline_ns, "rank %d: no message within 20 s", link->rank);
        link->table->wait(link, deadline_ns);
    }
    CHECK(status == SS_OK, "rank %d: receive", link->rank);
}

void link_post(struct ss_link *link, int peer, const void *data, size_t bytes)
{
    uint64_t deadline_ns = ss_now_ns() + PATIENCE_NS;
    enum ss_status status;
    while ((status = link->table->post(link, peer, data, bytes)) == SS_FULL) {
        CHECK(ss_now_ns() < deadline_ns, "rank %d: no room for %d within 20 s", link->rank, peer);
        link->table->wait(link, ss_now_ns() + SS_NS_PER_MS);
    }
    CHECK(status == SS_OK, "rank %d: post to %d", link->rank, peer);
}

static void barrier(struct ss_link *link)
{
    CHECK(link->table->barrier(link) == SS_OK, "rank %d: barrier", link->rank);
}

static void test_collectives(struct ss_link *link)
{
    for (size_t bytes = 0; bytes <= 10000; bytes = bytes * 7 + 1) {
        unsigned char *in = malloc(bytes + 1);
        unsigned char *out = malloc(bytes * (size_t)link->ranks + 1);
        CHECK(in && out, "memory");
        fill(in, bytes, link->rank, 0, (uint32_t)bytes);
        CHECK(link->table->all_gather(link, in, bytes, out) == SS_OK, "rank %d", link->rank);
        for (int rank = 0; rank < link->ranks; rank++)
            verify(out + (size_t)rank * bytes, bytes, rank, 0, (uint32_t)bytes);
        free(in);
        free(out);
    }
    barrier(link);
    for (int peer = 0; peer < link->ranks; peer++) {
        int same = link->table->same_node(link, peer);
        CHECK(peer != link->rank || same, "a rank is on its own node");
        int *all = malloc((size_t)link->ranks * sizeof *all);
        CHECK(all && link->table->all_gather(link, &same, sizeof same, all) == SS_OK, "gather");
        free(all);
    }
}

/* A sequence number leads every message that has room for it; lengths go from 0 to the limit. */
static size_t length_of(uint32_t seq, size_t bytes_max)
{
    switch (seq % 5) {
    case 0:
        return 0;
    case 1:
        return bytes_max;
    case 2:
        return 1;
    default:
        return (size_t)seq * 37 % (bytes_max + 1);
    }
}

/* All ranks to all ranks, themselves included, as fast as the queues allow. */
static void test_order(struct ss_link *link, const struct ss_link_options *options, uint32_t count)
{
    size_t bytes_max = options->message_bytes_max;
    unsigned char *out = malloc(bytes_max);
    unsigned char *in = malloc(bytes_max);
    uint32_t *sent = calloc((size_t)link->ranks, sizeof *sent);
    uint32_t *received = calloc((size_t)link->ranks, sizeof *received);
    CHECK(out && in && sent && received, "memory");
    uint32_t to_send = count * (uint32_t)link->ranks;
    uint32_t to_receive = to_send;
    uint64_t deadline_ns = ss_now_ns() + 3 * PATIENCE_NS;
    while (to_send != 0 || to_receive != 0) {
        for (int peer = 0; peer < link->ranks; peer++) {
            if (sent[peer] == count)
                continue;
            size_t bytes = length_of(sent[peer], bytes_max);
            fill(out, bytes, link->rank, peer, sent[peer]);
            enum ss_status status = link->table->post(link, peer, out, bytes);
            CHECK(status == SS_OK || status == SS_FULL, "rank %d: post", link->rank);
            sent[peer] += status == SS_OK;
            to_send -= status == SS_OK;
        }
        int from;
        size_t bytes;
        enum ss_status status;
        bool idle = true;
        while ((status = link->table->receive(link, &from, in, &bytes)) == SS_OK) {
            CHECK(received[from] < count, "more messages than were sent");
            CHECK(bytes == length_of(received[from], bytes_max), "length %zu of message %u", bytes,
                  received[from]);
            verify(in, bytes, from, link->rank, received[from]++);
            to_receive--;
            idle = false;
        }
        CHECK(status == SS_EMPTY, "rank %d: receive", link->rank);
        CHECK(ss_now_ns() < deadline_ns, "rank %d: %u to send, %u to receive", link->rank, to_send,
              to_receive);
        if (idle)
            link->table->wait(link, ss_now_ns() + 10 * SS_NS_PER_MS);
    }
    CHECK(link->table->flush(link, PATIENCE_NS) == SS_OK, "flush");
    free(out);
    free(in);
    free(sent);
    free(received);
    barrier(link);
}

/* Everybody fills every queue with messages of the largest size before anybody takes one. */
static void test_both_ways(struct ss_link *link, const struct ss_link_options *options)
{
    size_t bytes_max = options->message_bytes_max;
    uint32_t limit = (uint32_t)(options->credits + options->queue_max);
    unsigned char *data = malloc(bytes_max);
    uint32_t *received = calloc((size_t)link->ranks, sizeof *received);
    CHECK(data && received, "memory");
    for (uint32_t seq = 0; seq < limit; seq++)
        for (int peer = 0; peer < link->ranks; peer++) {
            fill(data, bytes_max, link->rank, peer, seq);
            link_post(link, peer, data, bytes_max);
        }
    for (int peer = 0; peer < link->ranks; peer++)
        CHECK(link->table->post(link, peer, data, 1) == SS_FULL, "rank %d: one too many to %d",
              link->rank, peer);
    barrier(link);
    for (uint32_t left = limit * (uint32_t)link->ranks; left != 0; left--) {
        int from;
        size_t bytes;
        link_take(link, &from, data, &bytes);
        CHECK(bytes == bytes_max, "%zu bytes", bytes);
        verify(data, bytes, from, link->rank, received[from]++);
    }
    CHECK(link->table->flush(link, PATIENCE_NS) == SS_OK, "flush");
    free(data);
    free(received);
    barrier(link);
}

/* Rank 0 writes to the last rank, which does not listen until told to. */
static void test_credits(struct ss_link *link, const struct ss_link_options *options)
{
    int reader = link->ranks - 1;
    uint32_t limit = (uint32_t)(options->credits + options->queue_max);
    unsigned char *data = malloc(options->message_bytes_max);
    int from;
    size_t bytes;
    CHECK(data, "memory");
    for (int round = 0; round < 3; round++) {
        if (link->rank == 0) {
            for (uint32_t seq = 0; seq < limit; seq++) {
                memcpy(data, &seq, sizeof seq);
                link_post(link, reader, data, sizeof seq);
            }
            CHECK(link->table->post(link, reader, data, sizeof(uint32_t)) == SS_FULL, "no limit");
            CHECK(strstr(ss_status_message(), "full") != 0, "the message says so");
            if (options->queue_max > 0 && reader != 0)
                CHECK(link->table->flush(link, 20 * SS_NS_PER_MS) == SS_TIMEOUT, "who took them?");
        }
        barrier(link);
        for (uint32_t seq = 0; seq < limit && link->rank == reader; seq++) {
            link_take(link, &from, data, &bytes);
            CHECK(from == 0 && bytes == sizeof seq && memcmp(data, &seq, sizeof seq) == 0,
                  "round %d: message %u", round, seq);
        }
        if (link->rank == reader)
            CHECK(link->table->receive(link, &from, data, &bytes) == SS_EMPTY, "one too many");
        if (link->rank == 0)
            CHECK(link->table->flush(link, PATIENCE_NS) == SS_OK, "flush");
        barrier(link);
    }
    free(data);
    barrier(link);
}

static void test_refusals(struct ss_link *link, const struct ss_link_options *options)
{
    unsigned char *data = calloc(options->message_bytes_max + 1, 1);
    CHECK(data, "memory");
    CHECK(link->table->post(link, link->rank, data, options->message_bytes_max + 1) == SS_INVALID,
          "a message over the limit");
    CHECK(strstr(ss_status_message(), "message_bytes_max") != 0, "the message names the limit");
    int from;
    size_t bytes;
    CHECK(link->table->receive(link, &from, data, &bytes) == SS_EMPTY, "nothing was sent");
    free(data);
    barrier(link);
}

void link_suite(struct ss_link *link, const struct ss_link_options *options)
{
    test_collectives(link);
    test_refusals(link, options);
    test_order(link, options, 400);
    test_both_ways(link, options);
    test_credits(link, options);
    link_suite_threads(link, options);
    test_order(link, options, 50);
}
