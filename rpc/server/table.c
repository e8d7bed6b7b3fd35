#include "rpc/server/table.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/memory.h"
#include "engine/base/random.h"

static uint32_t bucket_count(uint32_t items)
{
    uint32_t count = 16;
    while (count < items)
        count *= 2;
    return count;
}

static enum ss_status create_buckets(uint32_t **out, uint32_t *mask, uint32_t items)
{
    uint32_t count = bucket_count(items);
    enum ss_status status = ss_alloc(out, count, sizeof **out, "request table");
    if (status)
        return status;
    memset(*out, 0xff, count * sizeof **out);
    *mask = count - 1;
    return SS_OK;
}

enum ss_status ss_table_create(struct ss_table *table, uint32_t clients_max, uint32_t live_max)
{
    struct ss_table made = {.clients_max = clients_max, .live_max = live_max};
    enum ss_status status =
        ss_alloc(&made.clients, clients_max, sizeof made.clients[0], "client table");
    if (!status)
        status = ss_alloc(&made.live, live_max, sizeof made.live[0], "request table");
    if (!status)
        status = create_buckets(&made.client_buckets, &made.client_mask, clients_max);
    if (!status)
        status = create_buckets(&made.live_buckets, &made.live_mask, live_max);
    if (status) {
        ss_table_destroy(&made);
        return status;
    }
    for (uint32_t i = 0; i < clients_max; i++)
        made.clients[i].chain = i + 1 < clients_max ? i + 1 : SS_TABLE_NONE;
    for (uint32_t i = 0; i < live_max; i++)
        made.live[i].chain = i + 1 < live_max ? i + 1 : SS_TABLE_NONE;
    *table = made;
    return SS_OK;
}

void ss_table_destroy(struct ss_table *table)
{
    for (uint32_t i = 0; table->clients && i < table->clients_max; i++)
        while (table->clients[i].used && table->clients[i].waiting_first)
            ss_letter_free(ss_table_take_waiting(table, i));
    ss_free(table->clients);
    ss_free(table->live);
    ss_free(table->client_buckets);
    ss_free(table->live_buckets);
    *table = (struct ss_table){0};
}

void ss_letter_free(struct ss_letter *letter)
{
    free(letter->bytes);
    ss_free(letter);
}

/* FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/). */
static uint32_t hash_bytes(const uint8_t *bytes, size_t size)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return hash;
}

static uint32_t *client_bucket(const struct ss_table *table, const void *identity, size_t bytes)
{
    return &table->client_buckets[hash_bytes(identity, bytes) & table->client_mask];
}

static uint32_t *live_bucket(const struct ss_table *table, uint32_t client, uint64_t id)
{
    return &table->live_buckets[ss_random_u64(client, id) & table->live_mask];
}

uint32_t ss_table_find_client(const struct ss_table *table, const void *identity, size_t bytes)
{
    uint32_t at = *client_bucket(table, identity, bytes);
    while (at != SS_TABLE_NONE) {
        const struct ss_client *client = &table->clients[at];
        if (client->identity_bytes == bytes && memcmp(client->identity, identity, bytes) == 0)
            return at;
        at = client->chain;
    }
    return SS_TABLE_NONE;
}

uint32_t ss_table_add_client(struct ss_table *table, const void *identity, size_t bytes)
{
    SS_ASSERT(bytes <= SS_IDENTITY_BYTES_MAX);
    uint32_t at = ss_table_find_client(table, identity, bytes);
    if (at != SS_TABLE_NONE || table->client_free == SS_TABLE_NONE ||
        table->client_count == table->clients_max)
        return at;
    at = table->client_free;
    struct ss_client *client = &table->clients[at];
    table->client_free = client->chain;
    table->client_count++;
    *client = (struct ss_client){
        .used = true, .identity_bytes = (uint8_t)bytes, .live_first = SS_TABLE_NONE};
    memcpy(client->identity, identity, bytes);
    client->waiting_end = &client->waiting_first;
    uint32_t *bucket = client_bucket(table, identity, bytes);
    client->chain = *bucket;
    *bucket = at;
    return at;
}

void ss_table_release_client(struct ss_table *table, uint32_t at)
{
    struct ss_client *client = &table->clients[at];
    if (client->live_count > 0 || client->waiting_first)
        return;
    uint32_t *link = client_bucket(table, client->identity, client->identity_bytes);
    while (*link != at)
        link = &table->clients[*link].chain;
    *link = client->chain;
    client->used = false;
    client->chain = table->client_free;
    table->client_free = at;
    table->client_count--;
}

uint32_t ss_table_find_live(const struct ss_table *table, uint32_t client, uint64_t id)
{
    uint32_t at = *live_bucket(table, client, id);
    while (at != SS_TABLE_NONE && (table->live[at].client != client || table->live[at].id != id))
        at = table->live[at].chain;
    return at;
}

static uint32_t *count_of(struct ss_table *table, enum ss_op op)
{
    return op == SS_OP_SUBMIT ? &table->submit_count : &table->control_count;
}

struct ss_reply_to ss_table_add_live(struct ss_table *table, uint32_t client, uint64_t id,
                                     enum ss_op op)
{
    uint32_t slot = table->live_free;
    SS_ASSERT(table->submit_count + table->control_count < table->live_max);
    SS_ASSERT(ss_table_find_live(table, client, id) == SS_TABLE_NONE);
    struct ss_live *live = &table->live[slot];
    struct ss_client *owner = &table->clients[client];
    uint32_t *bucket = live_bucket(table, client, id);
    table->live_free = live->chain;
    *live = (struct ss_live){.id = id,
                             .generation = live->generation + 1,
                             .client = client,
                             .chain = *bucket,
                             .previous = SS_TABLE_NONE,
                             .next = owner->live_first,
                             .op = op};
    *bucket = slot;
    if (owner->live_first != SS_TABLE_NONE)
        table->live[owner->live_first].previous = slot;
    owner->live_first = slot;
    owner->live_count++;
    ++*count_of(table, op);
    return ss_table_reply_to(table, slot);
}

struct ss_live *ss_table_live(const struct ss_table *table, struct ss_reply_to to)
{
    if (to.slot >= table->live_max || to.generation % 2 == 0 ||
        table->live[to.slot].generation != to.generation)
        return 0;
    return &table->live[to.slot];
}

struct ss_reply_to ss_table_reply_to(const struct ss_table *table, uint32_t slot)
{
    const struct ss_live *live = &table->live[slot];
    return (struct ss_reply_to){.id = live->id, .slot = slot, .generation = live->generation};
}

void ss_table_remove_live(struct ss_table *table, uint32_t slot)
{
    struct ss_live *live = &table->live[slot];
    struct ss_client *owner = &table->clients[live->client];
    SS_ASSERT(live->generation % 2 == 1);
    uint32_t *link = live_bucket(table, live->client, live->id);
    while (*link != slot)
        link = &table->live[*link].chain;
    *link = live->chain;
    if (live->previous != SS_TABLE_NONE)
        table->live[live->previous].next = live->next;
    else
        owner->live_first = live->next;
    if (live->next != SS_TABLE_NONE)
        table->live[live->next].previous = live->previous;
    owner->live_count--;
    --*count_of(table, live->op);
    live->generation++;
    live->chain = table->live_free;
    table->live_free = slot;
}

void ss_table_wait(struct ss_table *table, uint32_t at, struct ss_letter *letter)
{
    struct ss_client *client = &table->clients[at];
    if (!client->waiting_first)
        table->waiting_clients++;
    letter->next = 0;
    *client->waiting_end = letter;
    client->waiting_end = &letter->next;
    client->waiting_bytes += letter->size;
}

struct ss_letter *ss_table_take_waiting(struct ss_table *table, uint32_t at)
{
    struct ss_client *client = &table->clients[at];
    struct ss_letter *letter = client->waiting_first;
    if (!letter)
        return 0;
    client->waiting_first = letter->next;
    client->waiting_bytes -= letter->size;
    if (!client->waiting_first) {
        client->waiting_end = &client->waiting_first;
        table->waiting_clients--;
    }
    return letter;
}
