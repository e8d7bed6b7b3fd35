#include "engine/sim/bound_loads.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "engine/base/memory.h"

#define CELLS_PER_LOAD 12  /* of the smallest model */
#define PLACES_MAX     1e6 /* cells times models */
#define ROUNDS_MIN     100
#define ROUNDS_MAX     3000
#define STEP_FIRST     1.0 /* of a price, in seconds of waiting per second of link or pool */
#define STEP_LAST      0.002
#define NOT_LOADED     (-2)

/* One model's uses as running sums by cell: of those that have arrived in cell C or before, and of
 * those that are due before cell C begins. */
struct track {
    double load_s; /* of the whole model */
    double share;  /* of the pool */
    double *arrived, *arrived_due_s, *due, *due_s;
};

/* Lines intercept - count * time, of which the least at a growing time is asked for. */
struct line {
    double intercept, count;
    int cell; /* in which the byte was last in the pool */
};

struct problem {
    int cells;
    double cell_s;
    uint32_t track_count;
    struct track *tracks;
    double *sums; /* all tracks' */
    double *link_price, *pool_price;
    double *link_use, *pool_use; /* by the cheapest paths: seconds, share */
    double *cost;                /* of the cheapest path that has the byte in the pool in a cell */
    int *from;                   /* the cell it was in before; NOT_LOADED: it stayed */
    struct line *lines;
    double *momentum, *scale;
};

/* Adds a line of a COUNT that is no smaller than the last one's. */
static int add_line(struct line *lines, int count, struct line line)
{
    if (count > 0 && lines[count - 1].count >= line.count) {
        if (lines[count - 1].intercept <= line.intercept)
            return count;
        count--;
    }
    while (count >= 2) {
        const struct line *a = &lines[count - 2], *b = &lines[count - 1];
        double b_from = (b->intercept - a->intercept) / (b->count - a->count);
        double line_from = (line.intercept - b->intercept) / (line.count - b->count);
        if (line_from > b_from)
            break;
        count--;
    }
    lines[count] = line;
    return count + 1;
}

/* The cheapest path of one byte; *LAST: the last cell in which it is in the pool. A byte that was
 * in the pool in cell P and next is in cell C makes wait those uses that arrived after P and were
 * due before C: from due to C's begin, and half a load more. */
static double cheapest_path(struct problem *problem, const struct track *track, int *last)
{
    double half_s = track->load_s / 2, hold = track->share * problem->cell_s;
    struct line *lines = problem->lines;
    int count = add_line(lines, 0, (struct line){.cell = -1}), at = 0;
    for (int cell = 0;; cell++) {
        double time_s = cell * problem->cell_s;
        at = at < count ? at : count - 1;
        while (at + 1 < count && lines[at + 1].intercept - time_s * lines[at + 1].count <=
                                     lines[at].intercept - time_s * lines[at].count)
            at++;
        double load = lines[at].intercept - time_s * lines[at].count +
                      (time_s + half_s) * track->due[cell] - track->due_s[cell];
        *last = lines[at].cell;
        if (cell == problem->cells) /* beyond the last, loads are free */
            return load;
        load += track->load_s * problem->link_price[cell];
        double stay =
            cell > 0 ? problem->cost[cell - 1] + hold * problem->pool_price[cell] : INFINITY;
        problem->cost[cell] = stay <= load ? stay : load;
        problem->from[cell] = stay <= load ? NOT_LOADED : *last;
        double arrived = track->arrived[cell];
        count = add_line(lines, count,
                         (struct line){.intercept = problem->cost[cell] +
                                                    track->arrived_due_s[cell] - half_s * arrived,
                                       .count = arrived,
                                       .cell = cell});
    }
}

/* The bound at the current prices, and what the paths use of link and pool. */
static double value_of(struct problem *problem)
{
    double value = 0;
    memset(problem->link_use, 0, (size_t)problem->cells * sizeof *problem->link_use);
    memset(problem->pool_use, 0, (size_t)problem->cells * sizeof *problem->pool_use);
    for (uint32_t i = 0; i < problem->track_count; i++) {
        const struct track *track = &problem->tracks[i];
        int cell;
        value += cheapest_path(problem, track, &cell);
        while (cell >= 0) {
            if (problem->from[cell] == NOT_LOADED) {
                problem->pool_use[cell--] += track->share;
            } else {
                problem->link_use[cell] += track->load_s;
                cell = problem->from[cell];
            }
        }
    }
    for (int cell = 0; cell < problem->cells; cell++)
        value -= problem->cell_s * (problem->link_price[cell] + problem->pool_price[cell]);
    return value;
}

static void step_prices(struct problem *problem, double *prices, const double *use, double full,
                        size_t offset, int round, double step)
{
    double mean_bias = 1 - pow(0.9, round + 1), square_bias = 1 - pow(0.99, round + 1);
    for (int cell = 0; cell < problem->cells; cell++) {
        double slope = use[cell] / full - 1;
        double *mean = &problem->momentum[offset + (size_t)cell];
        double *square = &problem->scale[offset + (size_t)cell];
        *mean = 0.9 * *mean + 0.1 * slope;
        *square = 0.99 * *square + 0.01 * slope * slope;
        prices[cell] += step * *mean / mean_bias / (sqrt(*square / square_bias) + 1e-9);
        prices[cell] = prices[cell] > 0 ? prices[cell] : 0;
    }
}

static double ascend(struct problem *problem, double effort)
{
    double best = 0; /* what prices of 0 give at least */
    double rounds = effort / ((double)problem->cells * (problem->track_count + 1));
    rounds = rounds < ROUNDS_MIN ? ROUNDS_MIN : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
    for (int round = 0; round < (int)rounds; round++) {
        double value = value_of(problem);
        best = value > best ? value : best;
        double step = STEP_FIRST * pow(STEP_LAST / STEP_FIRST, round / rounds);
        step_prices(problem, problem->link_price, problem->link_use, problem->cell_s, 0, round,
                    step);
        step_prices(problem, problem->pool_price, problem->pool_use, 1, (size_t)problem->cells,
                    round, step);
    }
    return best;
}

/* A use whose hidden time is longer than half a load would break the sums of cheapest_path(): the
 * bound lets it go without waiting. */
static bool counts(const struct ss_bound_link *link, const struct ss_bound_use *use)
{
    return use->hidden_s <= link->load_s[use->model] / 2;
}

static void fill_tracks(struct problem *problem, const struct ss_bound_link *link,
                        const struct ss_bound_use *uses, size_t count, const uint32_t *track_of)
{
    for (size_t i = 0; i < count; i++) {
        if (!counts(link, &uses[i]))
            continue;
        const struct track *track = &problem->tracks[track_of[uses[i].model]];
        double due_s = uses[i].arrival_s + uses[i].hidden_s;
        size_t arrived = (size_t)(uses[i].arrival_s / problem->cell_s);
        size_t due = (size_t)(due_s / problem->cell_s) + 1;
        track->arrived[arrived] += 1;
        track->arrived_due_s[arrived] += due_s;
        track->due[due] += 1;
        track->due_s[due] += due_s;
    }
    for (uint32_t i = 0; i < problem->track_count; i++)
        for (int cell = 1; cell <= problem->cells; cell++) {
            const struct track *track = &problem->tracks[i];
            track->arrived[cell] += track->arrived[cell - 1];
            track->arrived_due_s[cell] += track->arrived_due_s[cell - 1];
            track->due[cell] += track->due[cell - 1];
            track->due_s[cell] += track->due_s[cell - 1];
        }
}

/* The models that are used, and how fine time is cut. */
static void set_size(struct problem *problem, const struct ss_bound_link *link,
                     const struct ss_bound_use *uses, size_t count, uint32_t *track_of)
{
    double last_s = 0, shortest_s = INFINITY, all_s = 0;
    for (size_t i = 0; i < count; i++) {
        if (!counts(link, &uses[i]))
            continue;
        double due_s = uses[i].arrival_s + uses[i].hidden_s;
        last_s = due_s > last_s ? due_s : last_s;
        if (track_of[uses[i].model] != UINT32_MAX)
            continue;
        track_of[uses[i].model] = problem->track_count++;
        double load_s = link->load_s[uses[i].model];
        shortest_s = load_s < shortest_s ? load_s : shortest_s;
        all_s += load_s;
    }
    if (problem->track_count == 0)
        return;
    double span_s = last_s + (all_s < last_s ? all_s : last_s) + shortest_s;
    double cells = span_s / shortest_s * CELLS_PER_LOAD, most = PLACES_MAX / problem->track_count;
    problem->cells = (int)ceil(cells < most ? cells : most) + 2;
    problem->cell_s = span_s / (problem->cells - 2);
}

static enum ss_status create(struct problem *problem)
{
    size_t cells = (size_t)problem->cells, places = cells + 1;
    double **arrays[] = {&problem->link_price, &problem->pool_price, &problem->link_use,
                         &problem->pool_use,   &problem->cost,       &problem->momentum,
                         &problem->scale};
    enum ss_status status = SS_OK;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays && status == SS_OK; i++)
        status = ss_alloc(arrays[i], 2 * cells, sizeof(double), "prices of the bound");
    if (status == SS_OK)
        status = ss_alloc(&problem->from, cells, sizeof *problem->from, "paths of the bound");
    if (status == SS_OK)
        status = ss_alloc(&problem->lines, cells + 2, sizeof *problem->lines, "lines of the bound");
    if (status == SS_OK)
        status = ss_alloc(&problem->tracks, problem->track_count, sizeof *problem->tracks,
                          "models of the bound");
    if (status == SS_OK)
        status = ss_alloc(&problem->sums, 4 * places * problem->track_count, sizeof(double),
                          "uses of the bound");
    for (uint32_t i = 0; status == SS_OK && i < problem->track_count; i++) {
        double *sums = problem->sums + 4 * places * i;
        problem->tracks[i] = (struct track){.arrived = sums,
                                            .arrived_due_s = sums + places,
                                            .due = sums + 2 * places,
                                            .due_s = sums + 3 * places};
    }
    return status;
}

static void destroy(struct problem *problem)
{
    void *arrays[] = {problem->link_price, problem->pool_price, problem->link_use,
                      problem->pool_use,   problem->cost,       problem->momentum,
                      problem->scale,      problem->from,       problem->lines,
                      problem->tracks,     problem->sums};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        ss_free(arrays[i]);
}

enum ss_status ss_bound_loads(const struct ss_bound_link *link, const struct ss_bound_use *uses,
                              size_t count, double effort, double *delay_s)
{
    struct problem problem = {0};
    uint32_t *track_of;
    enum ss_status status =
        ss_alloc(&track_of, link->model_count, sizeof *track_of, "models of the bound");
    if (status != SS_OK)
        return status;
    for (uint32_t i = 0; i < link->model_count; i++)
        track_of[i] = UINT32_MAX;
    set_size(&problem, link, uses, count, track_of);
    double delay = 0;
    if (problem.track_count > 0) {
        status = create(&problem);
        if (status != SS_OK)
            goto end;
        for (uint32_t i = 0; i < link->model_count; i++) {
            if (track_of[i] == UINT32_MAX)
                continue;
            problem.tracks[track_of[i]].load_s = link->load_s[i];
            problem.tracks[track_of[i]].share = link->pool_share[i];
        }
        fill_tracks(&problem, link, uses, count, track_of);
        delay = ascend(&problem, effort);
    }
    *delay_s = delay;
end:
    destroy(&problem);
    ss_free(track_of);
    return status;
}
