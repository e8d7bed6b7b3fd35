#include "engine/serve/hiding.h"

#include <stdbool.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"

/* Loads remembered while batches that overlap them are still being reported, and batches remembered
 * for loads that end later. */
#define LOADS_KEPT 256
#define BUSY_KEPT  1024
#define RECENT_NS  (5 * SS_NS_PER_S)

struct load {
    uint64_t number, sent_ns, ended_ns;
    int ranks_left;
};

struct busy {
    uint64_t started_ns, ended_ns, waited_ns;
};

struct ss_hiding {
    int ranks;
    uint64_t load_count;
    struct load loads[LOADS_KEPT];
    uint64_t load_ns, hidden_ns; /* of loads that left the ring */
    uint64_t *busy_count;        /* [rank] */
    struct busy *busy;           /* [rank][BUSY_KEPT] */
    uint64_t *dropped_hidden;    /* [load ring slot][rank]: busy time of batches that left theirs */
};

enum ss_status ss_hiding_create(int ranks, struct ss_hiding **out)
{
    struct ss_hiding *hiding;
    size_t count = (size_t)ranks;
    enum ss_status status = ss_alloc(&hiding, 1, sizeof *hiding, "hiding");
    if (status)
        return status;
    hiding->ranks = ranks;
    status = ss_alloc(&hiding->busy_count, count, sizeof *hiding->busy_count, "hiding");
    if (!status)
        status = ss_alloc(&hiding->busy, count * BUSY_KEPT, sizeof *hiding->busy, "hiding");
    if (!status)
        status = ss_alloc(&hiding->dropped_hidden, count * LOADS_KEPT, sizeof(uint64_t), "hiding");
    if (status) {
        ss_hiding_destroy(hiding);
        return status;
    }
    *out = hiding;
    return SS_OK;
}

void ss_hiding_destroy(struct ss_hiding *hiding)
{
    if (!hiding)
        return;
    ss_free(hiding->busy_count);
    ss_free(hiding->busy);
    ss_free(hiding->dropped_hidden);
    ss_free(hiding);
}

static uint64_t overlap(const struct busy *busy, uint64_t begin, uint64_t end)
{
    uint64_t from = busy->started_ns > begin ? busy->started_ns : begin;
    uint64_t to = busy->ended_ns < end ? busy->ended_ns : end;
    uint64_t both = to > from ? to - from : 0;
    /* A batch waits for chunks of a load while that load runs: its waits lie in the overlap. */
    return both > busy->waited_ns ? both - busy->waited_ns : 0;
}

/* The busy time of RANK in load slot's window: batches remembered, and those dropped since. */
static uint64_t busy_in(const struct ss_hiding *hiding, uint64_t slot, int rank)
{
    const struct load *load = &hiding->loads[slot];
    uint64_t kept = hiding->busy_count[rank] < BUSY_KEPT ? hiding->busy_count[rank] : BUSY_KEPT;
    uint64_t sum = hiding->dropped_hidden[slot * (uint64_t)hiding->ranks + (uint64_t)rank];
    for (uint64_t i = 0; i < kept; i++)
        sum += overlap(&hiding->busy[(size_t)rank * BUSY_KEPT + i], load->sent_ns, load->ended_ns);
    return sum;
}

static uint64_t hidden_of(const struct ss_hiding *hiding, uint64_t slot)
{
    const struct load *load = &hiding->loads[slot];
    uint64_t least = load->ended_ns - load->sent_ns;
    for (int rank = 0; rank < hiding->ranks; rank++) {
        uint64_t busy = busy_in(hiding, slot, rank);
        least = busy < least ? busy : least;
    }
    return least;
}

void ss_hiding_load_sent(struct ss_hiding *hiding, uint64_t number, uint64_t now_ns)
{
    uint64_t slot = hiding->load_count % LOADS_KEPT;
    struct load *load = &hiding->loads[slot];
    if (hiding->load_count >= LOADS_KEPT && load->ranks_left == 0) {
        hiding->load_ns += load->ended_ns - load->sent_ns;
        hiding->hidden_ns += hidden_of(hiding, slot);
    }
    *load = (struct load){
        .number = number, .sent_ns = now_ns, .ended_ns = now_ns, .ranks_left = hiding->ranks};
    for (int rank = 0; rank < hiding->ranks; rank++)
        hiding->dropped_hidden[slot * (uint64_t)hiding->ranks + (uint64_t)rank] = 0;
    hiding->load_count++;
}

void ss_hiding_load_ended(struct ss_hiding *hiding, uint64_t number, uint64_t at_ns)
{
    for (uint64_t i = 0; i < LOADS_KEPT; i++) {
        struct load *load = &hiding->loads[i];
        if (load->number != number || load->ranks_left == 0)
            continue;
        load->ranks_left--;
        if (at_ns > load->ended_ns)
            load->ended_ns = at_ns;
    }
}

/* A batch about to be forgotten goes into the account of every load it may overlap. */
static void settle(struct ss_hiding *hiding, int rank, const struct busy *busy)
{
    uint64_t kept = hiding->load_count < LOADS_KEPT ? hiding->load_count : LOADS_KEPT;
    for (uint64_t slot = 0; slot < kept; slot++) {
        const struct load *load = &hiding->loads[slot];
        uint64_t end = load->ranks_left ? UINT64_MAX : load->ended_ns;
        hiding->dropped_hidden[slot * (uint64_t)hiding->ranks + (uint64_t)rank] +=
            overlap(busy, load->sent_ns, end);
    }
}

void ss_hiding_busy(struct ss_hiding *hiding, int rank, uint64_t started_ns, uint64_t ended_ns,
                    uint64_t waited_ns)
{
    uint64_t count = hiding->busy_count[rank]++;
    struct busy *busy = &hiding->busy[(size_t)rank * BUSY_KEPT + count % BUSY_KEPT];
    if (count >= BUSY_KEPT)
        settle(hiding, rank, busy);
    *busy = (struct busy){.started_ns = started_ns, .ended_ns = ended_ns, .waited_ns = waited_ns};
}

void ss_hiding_totals(const struct ss_hiding *hiding, uint64_t *load_ns, uint64_t *hidden_ns)
{
    uint64_t kept = hiding->load_count < LOADS_KEPT ? hiding->load_count : LOADS_KEPT;
    *load_ns = hiding->load_ns;
    *hidden_ns = hiding->hidden_ns;
    for (uint64_t slot = 0; slot < kept; slot++) {
        if (hiding->loads[slot].ranks_left)
            continue;
        *load_ns += hiding->loads[slot].ended_ns - hiding->loads[slot].sent_ns;
        *hidden_ns += hidden_of(hiding, slot);
    }
}

double ss_hiding_busy_share(const struct ss_hiding *hiding, int rank, uint64_t now_ns)
{
    uint64_t begin = now_ns > RECENT_NS ? now_ns - RECENT_NS : 0, sum = 0;
    uint64_t kept = hiding->busy_count[rank] < BUSY_KEPT ? hiding->busy_count[rank] : BUSY_KEPT;
    for (uint64_t i = 0; i < kept; i++)
        sum += overlap(&hiding->busy[(size_t)rank * BUSY_KEPT + i], begin, now_ns);
    return now_ns > begin ? (double)sum / (double)(now_ns - begin) : 0;
}
