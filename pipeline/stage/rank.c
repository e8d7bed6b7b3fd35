#include "pipeline/stage/rank.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/memory.h"

#define CONTROLLER_RANK 0
#define SLEEP_MAX_NS    SS_NS_PER_S

struct ss_rank {
    struct ss_rank_options options;
    struct ss_entry_storage *storage;
    unsigned char *buffer;
    bool leaving;
};

enum ss_status ss_rank_create(const struct ss_rank_options *options, struct ss_rank **out)
{
    struct ss_rank *rank;
    enum ss_status status = ss_alloc(&rank, 1, sizeof *rank, "rank");
    if (status)
        return status;
    rank->options = *options;
    status = ss_alloc(&rank->buffer, 1, options->message_bytes_max, "message buffer");
    if (!status)
        status = ss_entry_storage_create(options->message_bytes_max, &rank->storage);
    if (status) {
        ss_rank_destroy(rank);
        return status;
    }
    *out = rank;
    return SS_OK;
}

void ss_rank_destroy(struct ss_rank *rank)
{
    if (!rank)
        return;
    if (rank->storage)
        ss_entry_storage_destroy(rank->storage);
    ss_free(rank->buffer);
    ss_free(rank);
}

void ss_rank_leave(struct ss_rank *rank)
{
    rank->leaving = true;
}

/* To the same place of the next stage, if there is one, and then to itself. */
static enum ss_status pass_on(struct ss_link *link, int tp, const void *message, size_t bytes)
{
    int next = link->rank + tp;
    enum ss_status status = SS_OK;
    if (next < link->ranks)
        status = link->table->post(link, next, message, bytes);
    return status ? status : link->table->post(link, link->rank, message, bytes);
}

enum ss_status ss_rank_send_entry(struct ss_link *link, int tp, const void *message, size_t bytes)
{
    enum ss_status status = SS_OK;
    for (int peer = 0; peer < tp && !status; peer++)
        if (peer != link->rank)
            status = link->table->post(link, peer, message, bytes);
    return status ? status : pass_on(link, tp, message, bytes);
}

static enum ss_status carry_out(struct ss_rank *rank, size_t bytes)
{
    const struct ss_opening *openings;
    struct ss_entry entry;
    uint32_t opening_count;
    enum ss_status status =
        ss_entry_decode(rank->buffer, bytes, rank->storage, &entry, &openings, &opening_count);
    if (!status)
        status = ss_stage_take(rank->options.stage, &entry, openings, opening_count);
    if (!status && entry.kind == SS_ENTRY_STOP)
        rank->leaving = true;
    return status;
}

static enum ss_status take_message(struct ss_rank *rank, int peer, size_t bytes)
{
    struct ss_report report;
    if (bytes > 0 && rank->buffer[0] == SS_MESSAGE_ENTRY)
        return peer == rank->options.link->rank
                   ? carry_out(rank, bytes)
                   : pass_on(rank->options.link, rank->options.tp, rank->buffer, bytes);
    if (bytes == 1 && rank->buffer[0] == SS_MESSAGE_DRAIN && rank->options.on_drain) {
        rank->options.on_drain(rank->options.user);
        return SS_OK;
    }
    if (!rank->options.on_report)
        return ss_fail(SS_INVALID, "rank %d sent a report to rank %d, which has no controller",
                       peer, rank->options.link->rank);
    enum ss_status status = ss_report_decode(rank->buffer, bytes, rank->storage, &report);
    if (!status && report.rank != peer)
        status = ss_fail(SS_INVALID, "rank %d sent a report as rank %u", peer, report.rank);
    if (!status)
        rank->options.on_report(rank->options.user, &report);
    return status;
}

/* Messages taken before the controller has its turn: reports that arrived together are decided on
 * together, and a flood of them cannot keep it waiting. */
#define MESSAGES_PER_TURN 64

static enum ss_status check_reporter(const struct ss_rank *rank)
{
    const struct ss_rank_reporter *reporter = rank->options.reporter;
    uint64_t failed_ns = atomic_load(&reporter->failed_ns);
    if (atomic_load(&reporter->lost))
        return ss_fail(SS_INTERNAL, "rank %d: a report to the controller was lost",
                       rank->options.link->rank);
    if (failed_ns && ss_now_ns() - failed_ns > rank->options.patience_ns)
        return ss_fail(SS_TIMEOUT,
                       "%s; rank %d was told so and has not ended the group within %.3f s",
                       reporter->failure, CONTROLLER_RANK, (double)rank->options.patience_ns / 1e9);
    return SS_OK;
}

enum ss_status ss_rank_run(struct ss_rank *rank)
{
    struct ss_link *link = rank->options.link;
    enum ss_status status = SS_OK;
    while (!rank->leaving && !status) {
        int taken = 0, peer;
        size_t bytes;
        for (; taken < MESSAGES_PER_TURN && !rank->leaving && !status; taken++) {
            status = link->table->receive(link, &peer, rank->buffer, &bytes);
            if (!status)
                status = take_message(rank, peer, bytes);
        }
        bool idle = status == SS_EMPTY;
        if (idle)
            status = SS_OK;
        if (!status)
            status = check_reporter(rank);
        if (status || rank->leaving)
            break;
        uint64_t until = ss_now_ns() + SLEEP_MAX_NS;
        if (rank->options.on_turn) {
            uint64_t wanted = rank->options.on_turn(rank->options.user);
            until = wanted < until ? wanted : until;
        }
        if (idle && !rank->leaving)
            link->table->wait(link, until);
    }
    return status;
}

enum ss_status ss_rank_ask_drain(struct ss_rank *rank)
{
    const unsigned char message = SS_MESSAGE_DRAIN;
    struct ss_link *link = rank->options.link;
    return link->table->post(link, CONTROLLER_RANK, &message, sizeof message);
}

enum ss_status ss_rank_reporter_open(struct ss_rank_reporter *reporter, struct ss_link *link,
                                     size_t bytes_max)
{
    enum ss_status status = ss_alloc(&reporter->buffer, 1, bytes_max, "report");
    if (status)
        return status;
    reporter->link = link;
    reporter->bytes_max = bytes_max;
    pthread_mutex_init(&reporter->lock, 0);
    return SS_OK;
}

void ss_rank_reporter_close(struct ss_rank_reporter *reporter)
{
    if (!reporter->buffer)
        return;
    pthread_mutex_destroy(&reporter->lock);
    ss_free(reporter->buffer);
    reporter->buffer = 0;
}

void ss_rank_post_report(void *user, const struct ss_report *report)
{
    struct ss_rank_reporter *reporter = user;
    struct ss_link *link = reporter->link;
    struct ss_report numbered = *report;
    size_t bytes;
    pthread_mutex_lock(&reporter->lock);
    numbered.serial = ++reporter->serial;
    if (report->kind == SS_REPORT_FAILED && !reporter->failed_ns) {
        snprintf(reporter->failure, sizeof reporter->failure, "%.*s", (int)report->message_bytes,
                 (const char *)report->message);
        atomic_store(&reporter->failed_ns, ss_now_ns());
    }
    enum ss_status status =
        ss_report_encode(&numbered, reporter->buffer, reporter->bytes_max, &bytes);
    if (!status)
        status = link->table->post(link, CONTROLLER_RANK, reporter->buffer, bytes);
    pthread_mutex_unlock(&reporter->lock);
    if (!status)
        return;
    SS_ERROR("a report of entry %" PRIu64 " could not be posted: %s", report->number,
             ss_status_message());
    atomic_store(&reporter->lost, true);
    link->table->wake(link);
}
