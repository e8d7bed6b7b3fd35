#include "engine/swapsim/live_requests.h"

#include "engine/base/assert.h"
#include "engine/base/memory.h"

#define BLOCK      1024u
#define INDEX_BITS 28u
#define NONE       UINT32_MAX

void ss_live_requests_open(uint32_t free_min, struct ss_live_requests *out)
{
    *out = (struct ss_live_requests){.first_free = NONE, .last_free = NONE, .free_min = free_min};
}

void ss_live_requests_close(struct ss_live_requests *requests)
{
    for (uint32_t i = 0; i < requests->block_count; i++)
        ss_free(requests->blocks[i]);
    ss_free(requests->blocks);
}

static struct ss_live_request *at(const struct ss_live_requests *requests, uint32_t index)
{
    return &requests->blocks[index / BLOCK][index % BLOCK];
}

static enum ss_status make(struct ss_live_requests *requests, uint32_t *index)
{
    if (requests->count_max == requests->block_count * BLOCK) {
        enum ss_status status = ss_realloc(&requests->blocks, requests->block_count + 1,
                                           sizeof *requests->blocks, "live requests");
        if (!status)
            status = ss_alloc(&requests->blocks[requests->block_count], BLOCK,
                              sizeof **requests->blocks, "live requests");
        if (status)
            return status;
        requests->block_count++;
    }
    *index = requests->count_max++;
    SS_ASSERT(*index < 1u << INDEX_BITS);
    return SS_OK;
}

enum ss_status ss_live_requests_add(struct ss_live_requests *requests, struct ss_live_request **out)
{
    uint32_t index = requests->first_free;
    if (requests->free_count > requests->free_min) {
        requests->first_free = at(requests, index)->next;
        requests->free_count--;
    } else {
        enum ss_status status = make(requests, &index);
        if (status)
            return status;
    }
    struct ss_live_request *request = at(requests, index);
    *request = (struct ss_live_request){.next = NONE};
    request->plan.handle = ++requests->made << INDEX_BITS | index;
    if (++requests->live > requests->live_max)
        requests->live_max = requests->live;
    *out = request;
    return SS_OK;
}

struct ss_live_request *ss_live_requests_find(const struct ss_live_requests *requests,
                                              uint64_t handle)
{
    struct ss_live_request *found = at(requests, (uint32_t)(handle & ((1u << INDEX_BITS) - 1)));
    SS_ASSERT(found->plan.handle == handle);
    return found;
}

void ss_live_requests_end(struct ss_live_requests *requests, struct ss_live_request *request)
{
    uint32_t index = (uint32_t)(request->plan.handle & ((1u << INDEX_BITS) - 1));
    if (requests->free_count++ > 0)
        at(requests, requests->last_free)->next = index;
    else
        requests->first_free = index;
    requests->last_free = index;
    request->next = NONE;
    requests->live--;
}
