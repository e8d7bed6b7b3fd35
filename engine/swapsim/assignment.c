#include "engine/swapsim/assignment.h"

#include <stdlib.h>

#include "engine/base/memory.h"
#include "engine/base/random.h"

struct card {
    uint64_t key;
    uint32_t model;
};

static int compare(const void *left, const void *right)
{
    const struct card *a = left, *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return (a->model > b->model) - (a->model < b->model);
}

enum ss_status ss_assignment_make(uint32_t models, uint32_t groups, uint64_t seed,
                                  struct ss_assignment *out)
{
    struct ss_assignment made = {.groups = groups};
    struct card *cards = 0;
    enum ss_status status = ss_alloc(&cards, models, sizeof *cards, "models to deal");
    if (!status)
        status = ss_alloc(&made.group, models, sizeof *made.group, "the models' groups");
    if (!status)
        status = ss_alloc(&made.local, models, sizeof *made.local, "the models' groups");
    if (!status)
        status = ss_alloc(&made.count, groups, sizeof *made.count, "the groups' models");
    if (status) {
        ss_free(cards);
        ss_assignment_release(&made);
        return status;
    }
    for (uint32_t i = 0; i < models; i++)
        cards[i] = (struct card){.key = groups > 1 ? ss_random_u64(seed, i) : 0, .model = i};
    qsort(cards, models, sizeof *cards, compare);
    for (uint32_t i = 0; i < models; i++) {
        made.group[cards[i].model] = i % groups;
        made.local[cards[i].model] = made.count[i % groups]++;
    }
    ss_free(cards);
    *out = made;
    return SS_OK;
}

void ss_assignment_release(struct ss_assignment *assignment)
{
    ss_free(assignment->group);
    ss_free(assignment->local);
    ss_free(assignment->count);
}
