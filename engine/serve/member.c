#include "engine/serve/member.h"

#include <limits.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/memory.h"
#include "engine/serve/live.h"
#include "engine/serve/node.h"
#include "engine/serve/record.h"
#include "pipeline/link/agree.h"

#define FLUSH_NS (2 * SS_NS_PER_S)
/* Open MPI's SIGKILL follows its SIGTERM by a second (odls_base_sigkill_timeout). */
#define HURRY_NS (400 * SS_NS_PER_MS)

struct ss_member {
    struct ss_member_options options;
    struct ss_node node;
    struct ss_rank *rank;
    struct ss_live *live; /* rank 0 */
    char *hosts;
    struct ss_record *entries, *logits; /* rank 0; the last stage's first rank */
    bool asked;
    uint64_t hurried_ns; /* when it was told to hurry; 0: it was not */
    bool late;           /* the hurry is over, and requests are left */
};

static void ask_drain(struct ss_member *member)
{
    if (member->asked)
        return;
    member->asked = true;
    if (member->live)
        ss_live_ask_drain(member->live);
    else if (ss_rank_ask_drain(member->rank))
        SS_ERROR("the drain could not be passed on: %s", ss_status_message());
}

/* Leaves when the time is over; returns when that is. */
static uint64_t hurry(struct ss_member *member)
{
    uint64_t now_ns = ss_now_ns();
    if (!member->hurried_ns) {
        member->hurried_ns = now_ns;
        SS_WARNING("mpirun ends the job: it was told to, or a rank died, as it says then");
    }
    member->late = now_ns >= member->hurried_ns + HURRY_NS;
    if (member->late)
        ss_rank_leave(member->rank);
    return member->hurried_ns + HURRY_NS;
}

static uint64_t on_turn(void *user)
{
    struct ss_member *member = user;
    enum ss_member_wish wish =
        member->options.wish ? member->options.wish(member->options.user) : SS_MEMBER_GOES_ON;
    if (wish == SS_MEMBER_DRAINS || wish == SS_MEMBER_HURRIES)
        ask_drain(member);
    else if (wish == SS_MEMBER_LEAVES)
        ss_rank_leave(member->rank);
    uint64_t until_ns = member->live ? ss_live_on_turn(member->live) : UINT64_MAX;
    if (wish != SS_MEMBER_HURRIES || !member->live)
        return until_ns;
    uint64_t late_ns = hurry(member);
    return late_ns < until_ns ? late_ns : until_ns;
}

static void on_report(void *user, const struct ss_report *report)
{
    struct ss_member *member = user;
    ss_live_on_report(member->live, report);
}

static void on_drain(void *user)
{
    struct ss_member *member = user;
    ss_live_ask_drain(member->live);
}

static enum ss_status gather_hosts(struct ss_member *member)
{
    struct ss_link *link = member->options.link;
    char mine[SS_HOST_BYTES] = "";
    gethostname(mine, sizeof mine - 1);
    enum ss_status status =
        ss_agree(link, ss_alloc(&member->hosts, (size_t)link->ranks, sizeof mine, "host names"));
    return status ? status : link->table->all_gather(link, mine, sizeof mine, member->hosts);
}

static void record_logits(void *user, uint64_t number, uint32_t count, uint32_t vocab,
                          const float *logits)
{
    struct ss_member *member = user;
    ss_record_logits(member->logits, number, ss_record_hash(logits, count, vocab));
}

static enum ss_status open_records(struct ss_member *member)
{
    const struct ss_catalog *catalog = member->options.catalog;
    int rank = member->options.link->rank;
    char path[PATH_MAX];
    enum ss_status status = SS_OK;
    if (!member->options.record)
        return SS_OK;
    if (rank == 0)
        status = ss_record_create(member->options.record, &member->entries);
    if (!status && rank == (catalog->pp - 1) * catalog->tp)
        status = ss_record_logits_path(member->options.record, path, sizeof path);
    if (!status && rank == (catalog->pp - 1) * catalog->tp)
        status = ss_record_create(path, &member->logits);
    return ss_agree(member->options.link, status);
}

static enum ss_status close_records(struct ss_member *member)
{
    enum ss_status entries = ss_record_close(member->entries);
    enum ss_status logits = ss_record_close(member->logits);
    member->entries = member->logits = 0;
    return entries ? entries : logits;
}

static enum ss_status open_live(struct ss_member *member)
{
    enum ss_status status = gather_hosts(member);
    if (!status && member->options.link->rank == 0) {
        const struct ss_live_options live = {.catalog = member->options.catalog,
                                             .link = member->options.link,
                                             .tokenizers = member->options.tokenizers,
                                             .record = member->entries,
                                             .hosts = member->hosts};
        status = ss_live_create(&live, &member->live);
    }
    return ss_agree(member->options.link, status);
}

static enum ss_status open_all(struct ss_member *member)
{
    const struct ss_catalog *catalog = member->options.catalog;
    struct ss_link *link = member->options.link;
    struct ss_rank_options rank = {.link = link,
                                   .tp = catalog->tp,
                                   .message_bytes_max = ss_catalog_message_bytes_max(catalog),
                                   .patience_ns = catalog->config->limits.peer_timeout_ns,
                                   .on_report = link->rank == 0 ? on_report : 0,
                                   .on_drain = link->rank == 0 ? on_drain : 0,
                                   .on_turn = on_turn,
                                   .user = member};
    enum ss_status status = open_records(member);
    const struct ss_node_hooks hooks = {.on_logits = member->logits ? record_logits : 0,
                                        .user = member};
    /* An endpoint that is in use shows here: reserving and filling memory may take minutes. */
    if (!status)
        status = open_live(member);
    if (!status)
        status = ss_node_open(catalog, link, &hooks, &member->node);
    if (status)
        return status;
    rank.stage = member->node.executor;
    rank.reporter = &member->node.reporter;
    status = ss_rank_create(&rank, &member->rank);
    status = ss_agree(link, status);
    if (!status && member->live)
        ss_live_start(member->live, member->rank, member->node.device->description);
    return status;
}

enum ss_status ss_member_open(const struct ss_member_options *options, struct ss_member **out)
{
    struct ss_member *member = 0;
    enum ss_status status =
        ss_agree(options->link, ss_alloc(&member, 1, sizeof *member, "a rank of the group"));
    if (!status) {
        SS_ASSERT(member);
        member->options = *options;
        status = open_all(member);
    }
    if (status) {
        ss_member_close(member);
        return status;
    }
    *out = member;
    return SS_OK;
}

enum ss_status ss_member_run(struct ss_member *member)
{
    enum ss_status status = ss_rank_run(member->rank);
    if (!status && member->live && ss_live_failed(member->live))
        status = ss_fail(SS_PEER_LOST, "the group cannot go on");
    if (!status && member->late)
        status = ss_fail(SS_TIMEOUT,
                         "mpirun ends the job: what could not be answered within %.1f s "
                         "is answered as lost",
                         (double)HURRY_NS / 1e9);
    return status;
}

void ss_member_abandon(struct ss_member *member)
{
    struct ss_link *link = member->options.link;
    if (member->live)
        ss_live_lose(member->live);
    ss_live_destroy(member->live); /* the last answers leave before this returns */
    member->live = 0;
    if (link->table->flush(link, FLUSH_NS))
        SS_WARNING("%s", ss_status_message());
}

enum ss_status ss_member_finish(struct ss_member *member)
{
    struct ss_link *link = member->options.link;
    const char *trace = member->options.catalog->config->trace;
    enum ss_status status = SS_OK;
    if (member->live)
        ss_live_stop(member->live);
    if (trace)
        status = ss_node_write_trace(&member->node, trace);
    if (!status)
        status = link->table->flush(link, FLUSH_NS);
    /* A rank that is still at work reports to rank 0, which must not be gone by then. */
    enum ss_status met = link->table->barrier(link);
    return status ? status : met;
}

bool ss_member_close(struct ss_member *member)
{
    if (!member)
        return true;
    ss_live_destroy(member->live);
    ss_rank_destroy(member->rank);
    ss_node_close(&member->node);
    enum ss_status status = close_records(member); /* the stage wrote into them until now */
    if (status)
        SS_ERROR("%s", ss_status_message());
    ss_free(member->hosts);
    ss_free(member);
    return !status;
}

const char *ss_member_endpoint(const struct ss_member *member, size_t index)
{
    return ss_live_endpoint(member->live, index);
}

const char *ss_member_device(const struct ss_member *member)
{
    return member->node.device->description;
}
