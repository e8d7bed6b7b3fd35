/* Who is connected with what: clients and their live requests, in fixed tables.
 *
 * Owned by the server's thread. Nothing is allocated after ss_table_create(). A client is in the
 * table while it has live requests or unsent answers; beyond that ZeroMQ's routing id is all there
 * is to know of it. */
#ifndef SS_RPC_SERVER_TABLE_H
#define SS_RPC_SERVER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "rpc/request.h"
#include "rpc/server.h"

#define SS_IDENTITY_BYTES_MAX 255
#define SS_TABLE_NONE         UINT32_MAX

/* An encoded answer on its way out. */
struct ss_letter {
    struct ss_letter *next;
    struct ss_reply_to to; /* slot and generation are of no use once it waits with a client */
    uint32_t seq;
    bool last;
    void *bytes; /* from malloc; owned */
    size_t size;
};

struct ss_client {
    uint8_t identity[SS_IDENTITY_BYTES_MAX];
    uint8_t identity_bytes;
    bool used;
    uint32_t chain;      /* next of the same hash, or next free */
    uint32_t live_first; /* its live requests */
    uint32_t live_count;
    struct ss_letter *waiting_first; /* unsent answers, oldest first */
    struct ss_letter **waiting_end;
    size_t waiting_bytes;
    uint64_t sent_ns; /* when something last went out to it */
};

struct ss_live {
    uint64_t id;
    uint32_t generation; /* odd while live */
    uint32_t client;
    uint32_t chain;          /* next of the same hash, or next free */
    uint32_t previous, next; /* of the same client */
    uint32_t seq;            /* of the next answer */
    enum ss_op op;
};

struct ss_table {
    struct ss_client *clients;
    struct ss_live *live;
    uint32_t *client_buckets;
    uint32_t *live_buckets;
    uint32_t clients_max, live_max;
    uint32_t client_mask, live_mask; /* buckets - 1 */
    uint32_t client_free, live_free;
    uint32_t client_count;
    uint32_t submit_count, control_count;
    uint32_t waiting_clients; /* with unsent answers */
};

SS_MUST_CHECK enum ss_status ss_table_create(struct ss_table *table, uint32_t clients_max,
                                             uint32_t live_max);
/* Frees the letters that wait, too. A zeroed table is allowed. */
void ss_table_destroy(struct ss_table *table);

/* The client's index, or SS_TABLE_NONE. */
uint32_t ss_table_find_client(const struct ss_table *table, const void *identity, size_t bytes);
/* The same, putting it in if it is new; SS_TABLE_NONE if the table is full. */
uint32_t ss_table_add_client(struct ss_table *table, const void *identity, size_t bytes);
/* Takes CLIENT out if it has nothing live and nothing waiting. */
void ss_table_release_client(struct ss_table *table, uint32_t client);

/* The live request of CLIENT with ID, or SS_TABLE_NONE. */
uint32_t ss_table_find_live(const struct ss_table *table, uint32_t client, uint64_t id);
/* There must be room: submit_count + control_count < live_max, and ID not live. */
struct ss_reply_to ss_table_add_live(struct ss_table *table, uint32_t client, uint64_t id,
                                     enum ss_op op);
/* The request that TO names, or null if it is dead. */
struct ss_live *ss_table_live(const struct ss_table *table, struct ss_reply_to to);
struct ss_reply_to ss_table_reply_to(const struct ss_table *table, uint32_t slot);
void ss_table_remove_live(struct ss_table *table, uint32_t slot);

/* Unsent answers of a client: the table owns LETTER until it is taken. */
void ss_table_wait(struct ss_table *table, uint32_t client, struct ss_letter *letter);
struct ss_letter *ss_table_take_waiting(struct ss_table *table, uint32_t client);

void ss_letter_free(struct ss_letter *letter);

#endif
