/* What random runs must reach, so that what they promise is worth something. */
#include <inttypes.h>

#include "engine/core/model.h"
#include "engine/core/sequence.h"
#include "tests/sim/run.h"

/* Below this a change of a seed's draws may well lead to never: time to draw it more often. */
#define SELDOM 4

static const char *const sequence_states[SS_SEQUENCE_STATES] = {
    "free", "queued", "running", "aside", "spilling", "spilled", "restoring", "closing"};
static const char *const chunk_states[SS_CHUNK_STATES] = {"absent", "loading", "resident",
                                                          "dropping"};

static bool want(uint64_t count, FILE *out, const char *what, const char *a, const char *b)
{
    if (count < SELDOM)
        fprintf(out, "%s: %s %s%s%s\n", count ? "seldom seen" : "never seen", what, a,
                *b ? " > " : "", b);
    return count > 0;
}

static bool states_seen(const struct seen *seen, FILE *out)
{
    bool all = true;
    for (int from = 0; from < SS_SEQUENCE_STATES; from++)
        for (int to = 0; to < SS_SEQUENCE_STATES; to++)
            if (ss_sequence_may_become((enum ss_sequence_state)from, (enum ss_sequence_state)to))
                all &= want(seen->sequence_changes[from][to], out, "sequence",
                            sequence_states[from], sequence_states[to]);
    for (int from = 0; from < SS_CHUNK_STATES; from++)
        for (int to = 0; to < SS_CHUNK_STATES; to++)
            if (ss_chunk_may_become((enum ss_chunk_state)from, (enum ss_chunk_state)to))
                all &= want(seen->chunk_changes[from][to], out, "chunk", chunk_states[from],
                            chunk_states[to]);
    for (int state = SS_SEQUENCE_QUEUED; state < SS_SEQUENCE_STATES; state++) {
        all &= want(seen->lost_in_sequence[state], out, "a rank lost beside a sequence",
                    sequence_states[state], "");
        if (state != SS_SEQUENCE_CLOSING) /* it is answered: its cancel crosses its end */
            all &= want(seen->cancelled_in[state], out, "a cancel of a sequence",
                        sequence_states[state], "");
    }
    for (int state = 0; state < SS_CHUNK_STATES; state++)
        all &= want(seen->lost_in_chunk[state], out, "a rank lost beside a chunk",
                    chunk_states[state], "");
    return all & want(seen->cancelled_behind_load, out, "a cancel", "behind a load", "");
}

static bool reasons_seen(const struct seen *seen, FILE *out)
{
    static const char *const reasons[SS_END_KINDS] = {
        [SS_END_LENGTH] = "length",       [SS_END_EOS] = "eos",
        [SS_END_STOP] = "stop",           [SS_END_CANCELLED] = "cancelled",
        [SS_END_DEADLINE] = "deadline",   [SS_END_OVERLOADED] = "overloaded",
        [SS_END_TOO_LONG] = "too long",   [SS_END_DRAINING] = "draining",
        [SS_END_RANK_LOST] = "rank lost",
    };
    static const bool refuses[SS_END_KINDS] = {[SS_END_DEADLINE] = true,
                                               [SS_END_OVERLOADED] = true,
                                               [SS_END_TOO_LONG] = true,
                                               [SS_END_DRAINING] = true,
                                               [SS_END_RANK_LOST] = true};
    bool all = true;
    for (int reason = 0; reason < SS_END_KINDS; reason++) {
        bool ends = !refuses[reason] || reason == SS_END_DEADLINE || reason == SS_END_RANK_LOST;
        all &= !ends || want(seen->ends[reason], out, "an end:", reasons[reason], "");
        all &= !refuses[reason] ||
               want(seen->refusals[reason], out, "a refusal:", reasons[reason], "");
    }
    for (int loss = 0; loss < SS_LOSS_KINDS; loss++)
        all &= want(seen->losses[loss], out, "a loss:", ss_loss_text((enum ss_loss)loss), "");
    return all & want(seen->told_losses, out, "a loss:", "that the driver told", "");
}

static bool ways_seen(const struct seen *seen, FILE *out)
{
    const struct {
        uint64_t count;
        const char *what;
    } ways[] = {
        {seen->prefetches, "a load on a guess"},     {seen->partial_drops, "a drop of some chunks"},
        {seen->copying_drops, "a drop that copies"}, {seen->forgets, "blocks forgotten"},
        {seen->chunk_moves, "a chunk moved"},        {seen->block_moves, "a block moved"},
        {seen->slices, "a slice of a prompt"},
    };
    bool all = true;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        all &= want(ways[i].count, out, "way:", ways[i].what, "");
    return all;
}

bool seen_all(const struct seen *seen, FILE *out)
{
    static const char *const actions[ACTION_KINDS] = {
        [SS_ACTION_SEND] = "send",       [SS_ACTION_TOKEN] = "token",
        [SS_ACTION_END] = "end",         [SS_ACTION_REFUSE] = "refuse",
        [SS_ACTION_TIMER] = "timer",     [SS_ACTION_CONTROL_DONE] = "control done",
        [SS_ACTION_DRAINED] = "drained", [SS_ACTION_LOST] = "lost",
    };
    bool all = states_seen(seen, out);
    all &= reasons_seen(seen, out);
    all &= ways_seen(seen, out);
    for (int kind = 0; kind < ACTION_KINDS; kind++)
        all &= want(seen->actions[kind], out, "an action:", actions[kind], "");
    for (int kind = 0; kind < SS_ENTRY_KINDS; kind++)
        if (kind != SS_ENTRY_STOP) /* the driver's */
            all &= want(seen->entries[kind], out,
                        "an entry:", ss_entry_kind_name((enum ss_entry_kind)kind), "");
    return all;
}

void seen_print(const struct seen *seen, FILE *out)
{
    const struct ss_controller_view *views = &seen->views;
    uint64_t lost = seen->told_losses;
    for (int loss = 0; loss < SS_LOSS_KINDS; loss++)
        lost += seen->losses[loss];
    fprintf(out,
            "%" PRIu64 " runs, %" PRIu64 " steps: %" PRIu64 " requests, %" PRIu64
            " accepted, %" PRIu64 " loads, %" PRIu64 " drops, %" PRIu64 " batches, %" PRIu64
            " recomputed, %" PRIu64 " spilled, %" PRIu64 " compactions, %" PRIu64
            " groups lost, %" PRIu64 " waits bounded\n",
            seen->runs, seen->steps, seen->arrived, views->accepted, views->loads, views->drops,
            views->batches, views->recomputed, views->spilled, seen->entries[SS_ENTRY_MOVE], lost,
            seen->waits);
}
