#include "engine/serve/tickets.h"

#include <pthread.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/memory.h"

#define NONE UINT32_MAX

struct ss_tickets {
    pthread_mutex_t lock; /* guards the free list, the handles and the slots */
    uint32_t count, slots, first_free, generation;
    struct ss_ticket *tickets;
    uint32_t *of_slot; /* the latest ticket that answers to it */
};

enum ss_status ss_tickets_create(uint32_t count, uint32_t slots, struct ss_tickets **out)
{
    struct ss_tickets *tickets;
    enum ss_status status = ss_alloc(&tickets, 1, sizeof *tickets, "tickets");
    if (status)
        return status;
    status = ss_alloc(&tickets->tickets, count, sizeof *tickets->tickets, "tickets");
    if (!status)
        status = ss_alloc(&tickets->of_slot, slots, sizeof *tickets->of_slot, "tickets");
    if (status) {
        ss_free(tickets->tickets);
        ss_free(tickets);
        return status;
    }
    pthread_mutex_init(&tickets->lock, 0);
    tickets->count = count;
    tickets->slots = slots;
    for (uint32_t i = 0; i < count; i++)
        tickets->tickets[i].next_free = i + 1 < count ? i + 1 : NONE;
    tickets->first_free = count ? 0 : NONE;
    *out = tickets;
    return SS_OK;
}

static void empty(struct ss_ticket *ticket)
{
    ss_free(ticket->prompt);
    ss_free(ticket->text);
    ss_free(ticket->tokens);
    ss_stop_set_destroy(ticket->stops);
}

void ss_tickets_destroy(struct ss_tickets *tickets)
{
    if (!tickets)
        return;
    for (uint32_t i = 0; i < tickets->count; i++)
        if (tickets->tickets[i].handle)
            empty(&tickets->tickets[i]);
    pthread_mutex_destroy(&tickets->lock);
    ss_free(tickets->of_slot);
    ss_free(tickets->tickets);
    ss_free(tickets);
}

enum ss_status ss_ticket_take(struct ss_tickets *tickets, struct ss_reply_to to, enum ss_op op,
                              struct ss_ticket **out)
{
    SS_ASSERT(to.slot < tickets->slots);
    pthread_mutex_lock(&tickets->lock);
    uint32_t index = tickets->first_free;
    if (index == NONE) {
        pthread_mutex_unlock(&tickets->lock);
        return ss_fail(SS_FULL, "%u requests are waiting or running, the limit", tickets->count);
    }
    struct ss_ticket *ticket = &tickets->tickets[index];
    tickets->first_free = ticket->next_free;
    tickets->of_slot[to.slot] = index;
    *ticket = (struct ss_ticket){
        .handle = ((uint64_t)++tickets->generation << 32) | (index + 1), .to = to, .op = op};
    pthread_mutex_unlock(&tickets->lock);
    *out = ticket;
    return SS_OK;
}

void ss_ticket_release(struct ss_tickets *tickets, struct ss_ticket *ticket)
{
    empty(ticket);
    pthread_mutex_lock(&tickets->lock);
    ticket->handle = 0;
    ticket->next_free = tickets->first_free;
    tickets->first_free = (uint32_t)(ticket - tickets->tickets);
    pthread_mutex_unlock(&tickets->lock);
}

struct ss_ticket *ss_ticket_find(struct ss_tickets *tickets, uint64_t handle)
{
    uint32_t index = (uint32_t)handle - 1;
    if (handle == 0 || index >= tickets->count)
        return 0;
    struct ss_ticket *ticket = &tickets->tickets[index];
    pthread_mutex_lock(&tickets->lock);
    bool live = ticket->handle == handle;
    pthread_mutex_unlock(&tickets->lock);
    return live ? ticket : 0;
}

struct ss_ticket *ss_ticket_find_reply(struct ss_tickets *tickets, struct ss_reply_to to)
{
    SS_ASSERT(to.slot < tickets->slots);
    pthread_mutex_lock(&tickets->lock);
    struct ss_ticket *ticket = &tickets->tickets[tickets->of_slot[to.slot]];
    bool live =
        ticket->handle && ticket->to.slot == to.slot && ticket->to.generation == to.generation;
    pthread_mutex_unlock(&tickets->lock);
    return live ? ticket : 0;
}

struct ss_ticket *ss_ticket_next(struct ss_tickets *tickets, const struct ss_ticket *after)
{
    struct ss_ticket *found = 0;
    uint32_t index = after ? (uint32_t)(after - tickets->tickets) + 1 : 0;
    pthread_mutex_lock(&tickets->lock);
    for (; index < tickets->count && !found; index++)
        if (tickets->tickets[index].handle)
            found = &tickets->tickets[index];
    pthread_mutex_unlock(&tickets->lock);
    return found;
}

/* Room for BYTES more of text. */
static enum ss_status make_room(struct ss_ticket *ticket, size_t bytes)
{
    size_t need = ticket->text_bytes + bytes;
    if (need <= ticket->text_room)
        return SS_OK;
    size_t room = 2 * need;
    enum ss_status status = ss_realloc(&ticket->text, room, 1, "answer text");
    if (!status)
        ticket->text_room = room;
    return status;
}

static enum ss_status append_text(struct ss_ticket *ticket, const char *text, size_t bytes)
{
    size_t held = ticket->stops ? ss_stop_held_max(ticket->stops) : 0;
    enum ss_status status = make_room(ticket, bytes + held);
    if (status || bytes == 0)
        return status;
    char *end = ticket->text + ticket->text_bytes;
    if (!ticket->stops) {
        memcpy(end, text, bytes);
        ticket->text_bytes += bytes;
        return SS_OK;
    }
    ticket->text_bytes += ss_stop_push(&ticket->stop_stream, text, bytes, end);
    if (ticket->stop_stream.matched >= 0)
        ticket->stopped = true;
    return SS_OK;
}

enum ss_status ss_ticket_push(struct ss_ticket *ticket, int32_t token)
{
    enum ss_status status = SS_OK;
    if (ticket->stopped)
        return SS_OK;
    if (ticket->token_count == ticket->token_room) {
        size_t room = ticket->token_room ? 2 * ticket->token_room : 16;
        status = ss_realloc(&ticket->tokens, room, sizeof *ticket->tokens, "answer tokens");
        if (status)
            return status;
        ticket->token_room = room;
    }
    if (ticket->detokenizer.tokenizer) {
        char *piece;
        status = ss_alloc(&piece, ss_detokenizer_bytes_max(ticket->detokenizer.tokenizer), 1,
                          "token text");
        if (status)
            return status;
        size_t bytes = ss_detokenizer_push(&ticket->detokenizer, (uint32_t)token, piece);
        status = append_text(ticket, piece, bytes);
        ss_free(piece);
    }
    if (status)
        return status;
    ticket->tokens[ticket->token_count++] = (uint32_t)token;
    ticket->completion_tokens++;
    return SS_OK;
}

enum ss_status ss_ticket_finish(struct ss_ticket *ticket)
{
    enum ss_status status = SS_OK;
    char rest[16];
    if (!ticket->detokenizer.tokenizer || ticket->stopped)
        return SS_OK;
    size_t bytes = ss_detokenizer_finish(&ticket->detokenizer, rest);
    status = append_text(ticket, rest, bytes);
    if (!status && ticket->stops) {
        status = make_room(ticket, ss_stop_held_max(ticket->stops));
        if (!status)
            ticket->text_bytes +=
                ss_stop_finish(&ticket->stop_stream, ticket->text + ticket->text_bytes);
    }
    return status;
}

struct ss_piece ss_ticket_unsent(const struct ss_ticket *ticket)
{
    return (struct ss_piece){.text = {.data = ticket->text, .bytes = ticket->text_bytes},
                             .tokens = ticket->tokens,
                             .token_count = ticket->token_count};
}

void ss_ticket_sent(struct ss_ticket *ticket)
{
    ticket->text_bytes = 0;
    ticket->token_count = 0;
}
