/* Tickets: handles that go stale, and answers put together from tokens. */
#include "engine/serve/tickets.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define IDS_MAX 256
#define SLOTS   8

static struct ss_tickets *create(uint32_t count)
{
    struct ss_tickets *tickets;
    cr_assert_eq(ss_tickets_create(count, SLOTS, &tickets), SS_OK);
    return tickets;
}

static struct ss_ticket *take(struct ss_tickets *tickets)
{
    struct ss_ticket *ticket;
    cr_assert_eq(ss_ticket_take(tickets, (struct ss_reply_to){0}, SS_OP_SUBMIT, &ticket), SS_OK);
    cr_assert_neq(ticket->handle, 0);
    return ticket;
}

Test(serve_tickets, handles)
{
    struct ss_tickets *tickets = create(3);
    struct ss_ticket *a = take(tickets), *b = take(tickets);
    uint64_t first = a->handle;
    cr_assert_eq(ss_ticket_find(tickets, a->handle), a);
    cr_assert_eq(ss_ticket_find(tickets, b->handle), b);
    cr_assert_null(ss_ticket_find(tickets, 0));
    cr_assert_null(ss_ticket_find(tickets, UINT64_MAX));
    cr_assert_null(ss_ticket_find(tickets, (uint64_t)1 << 32));
    cr_assert_null(ss_ticket_find(tickets, a->handle + 2), "a place that is free");
    a->completion_tokens = 9;
    ss_ticket_release(tickets, a);
    cr_assert_null(ss_ticket_find(tickets, first));
    struct ss_ticket *again = take(tickets);
    cr_assert_eq(again, a, "the place is used again");
    cr_assert_eq(again->completion_tokens, 0);
    cr_assert_neq(again->handle, first);
    cr_assert_null(ss_ticket_find(tickets, first), "of the ticket before");
    ss_tickets_destroy(tickets);
}

Test(serve_tickets, exhaustion)
{
    struct ss_tickets *tickets = create(2);
    struct ss_ticket *a = take(tickets), *none = (void *)1;
    take(tickets);
    cr_assert_eq(ss_ticket_take(tickets, (struct ss_reply_to){0}, SS_OP_SUBMIT, &none), SS_FULL);
    cr_assert_eq(none, (void *)1);
    cr_assert_str_eq(ss_status_message(), "2 requests are waiting or running, the limit");
    ss_ticket_release(tickets, a);
    cr_assert_eq(take(tickets), a);
    ss_tickets_destroy(tickets);
    tickets = create(0);
    cr_assert_eq(ss_ticket_take(tickets, (struct ss_reply_to){0}, SS_OP_SUBMIT, &none), SS_FULL);
    ss_tickets_destroy(tickets);
    ss_tickets_destroy(0);
}

Test(serve_tickets, by_reply_and_in_turn)
{
    struct ss_tickets *tickets = create(4);
    struct ss_ticket *each[4];
    for (uint32_t i = 0; i < 4; i++) {
        const struct ss_reply_to to = {.id = 5, .slot = i, .generation = 3};
        cr_assert_eq(ss_ticket_take(tickets, to, SS_OP_SUBMIT, &each[i]), SS_OK);
    }
    ss_ticket_release(tickets, each[1]);
    cr_assert_eq(ss_ticket_find_reply(tickets, (struct ss_reply_to){.slot = 2, .generation = 3}),
                 each[2]);
    cr_assert_null(ss_ticket_find_reply(tickets, (struct ss_reply_to){.slot = 2, .generation = 2}));
    cr_assert_null(ss_ticket_find_reply(tickets, (struct ss_reply_to){.slot = 1, .generation = 3}),
                   "released");
    cr_assert_null(ss_ticket_find_reply(tickets, (struct ss_reply_to){.slot = 7, .generation = 3}));
    const struct ss_reply_to next = {.slot = 1, .generation = 4};
    struct ss_ticket *again;
    cr_assert_eq(ss_ticket_take(tickets, next, SS_OP_SUBMIT, &again), SS_OK);
    cr_assert_eq(ss_ticket_find_reply(tickets, next), again);
    ss_ticket_release(tickets, again);
    int seen = 0;
    for (struct ss_ticket *at = ss_ticket_next(tickets, 0); at; at = ss_ticket_next(tickets, at)) {
        cr_assert(at == each[0] || at == each[2] || at == each[3]);
        seen++;
    }
    cr_assert_eq(seen, 3);
    ss_tickets_destroy(tickets);
}

static struct ss_tokenizer *open_tokenizer(const char *model)
{
    char path[128];
    struct ss_tokenizer *tokenizer;
    snprintf(path, sizeof path, "tests/golden/models/%s/tokenizer.json", model);
    cr_assert_eq(ss_tokenizer_open(path, &tokenizer), SS_OK, "%s", ss_status_message());
    return tokenizer;
}

/* What became of a text whose tokens were pushed one by one. */
struct answer {
    char text[4096];
    size_t bytes;
    uint32_t pushed, tokens;
    bool stopped, late; /* late: came only with the finish */
};

static void collect(struct ss_ticket *ticket, struct answer *answer)
{
    struct ss_piece piece = ss_ticket_unsent(ticket);
    cr_assert_lt(answer->bytes + piece.text.bytes, sizeof answer->text);
    if (piece.text.bytes)
        memcpy(answer->text + answer->bytes, piece.text.data, piece.text.bytes);
    answer->bytes += piece.text.bytes;
    answer->tokens += (uint32_t)piece.token_count;
    ss_ticket_sent(ticket);
    piece = ss_ticket_unsent(ticket);
    cr_assert(piece.text.bytes == 0 && piece.token_count == 0);
}

/* Pushes the first MOST tokens of TEXT; with STREAMED, sends after each. */
static struct answer run(const struct ss_tokenizer *tokenizer, const char *text,
                         const char *const *stops, size_t stop_count, bool streamed, size_t most)
{
    struct ss_tickets *tickets = create(1);
    struct ss_ticket *ticket = take(tickets);
    struct answer answer = {.text = ""};
    uint32_t ids[IDS_MAX];
    size_t count, lengths[8];
    cr_assert_eq(ss_tokenizer_encode(tokenizer, text, strlen(text), false, ids, IDS_MAX, &count),
                 SS_OK);
    ss_detokenizer_start(&ticket->detokenizer, tokenizer, true);
    for (size_t i = 0; i < stop_count; i++)
        lengths[i] = strlen(stops[i]);
    if (stop_count) {
        cr_assert_eq(ss_stop_set_create(stops, lengths, stop_count, &ticket->stops), SS_OK);
        ss_stop_start(&ticket->stop_stream, ticket->stops);
    }
    for (size_t i = 0; i < count && i < most && !ticket->stopped; i++) {
        cr_assert_eq(ss_ticket_push(ticket, (int32_t)ids[i]), SS_OK);
        answer.pushed++;
        cr_assert_eq(ticket->completion_tokens, answer.pushed);
        if (streamed)
            collect(ticket, &answer);
    }
    size_t before = answer.bytes + ticket->text_bytes;
    cr_assert_eq(ss_ticket_finish(ticket), SS_OK);
    collect(ticket, &answer);
    answer.late = answer.bytes > before;
    answer.stopped = ticket->stopped;
    answer.text[answer.bytes] = 0;
    cr_assert_eq(answer.tokens, answer.pushed);
    ss_tickets_destroy(tickets);
    return answer;
}

static const char *const texts[] = {
    "The GNU General Public License is a free, copyleft license for software",
    "na\xc3\xafve caf\xc3\xa9 \xe2\x82\xac 12, \xf0\x9f\x98\x80\xf0\x9f\x9a\x80 and \xe4\xb8\xad",
    "",
};
static const char *const models[] = {"opt-tiny", "llama-tiny", "qwen2-tiny"};

Test(serve_tickets, text_is_whole)
{
    for (int m = 0; m < 3; m++) {
        struct ss_tokenizer *tokenizer = open_tokenizer(models[m]);
        for (int t = 0; t < 3; t++)
            for (int streamed = 0; streamed < 2; streamed++) {
                struct answer answer = run(tokenizer, texts[t], 0, 0, streamed, IDS_MAX);
                cr_assert_str_eq(answer.text, texts[t]);
                cr_assert(!answer.stopped && !answer.late);
            }
        ss_tokenizer_close(tokenizer);
    }
}

Test(serve_tickets, stop_strings_across_tokens)
{
    /* Each ends somewhere inside the text; what came before it is the answer. */
    static const struct {
        const char *stops[3], *left;
    } cases[] = {
        {{"General Public"}, "The GNU "},
        {{"ral Pub"}, "The GNU Gene"},
        {{"copy"}, "The GNU General Public License is a free, "},
        {{"The"}, ""},
        {{"zebra", "license for", "software"},
         "The GNU General Public License is a free, copyleft "},
        {{"software"}, "The GNU General Public License is a free, copyleft license for "},
    };
    for (int m = 0; m < 3; m++) {
        struct ss_tokenizer *tokenizer = open_tokenizer(models[m]);
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
            for (int streamed = 0; streamed < 2; streamed++) {
                size_t count = cases[c].stops[1] ? 3 : 1;
                struct answer answer =
                    run(tokenizer, texts[0], cases[c].stops, count, streamed, IDS_MAX);
                cr_assert(answer.stopped);
                cr_assert_str_eq(answer.text, cases[c].left);
            }
        ss_tokenizer_close(tokenizer);
    }
}

Test(serve_tickets, what_a_stop_string_held_back_comes_at_the_end)
{
    struct ss_tokenizer *tokenizer = open_tokenizer("opt-tiny");
    const char *stops[] = {"software is free", "zebra"};
    for (int streamed = 0; streamed < 2; streamed++) {
        struct answer answer = run(tokenizer, texts[0], stops, 2, streamed, IDS_MAX);
        cr_assert_str_eq(answer.text, texts[0]);
        cr_assert(!answer.stopped && answer.late);
    }
    ss_tokenizer_close(tokenizer);
}

Test(serve_tickets, a_character_cut_off_is_replaced)
{
    struct ss_tokenizer *tokenizer = open_tokenizer("qwen2-tiny");
    /* Emoji are several tokens here: some number of tokens ends inside one. */
    int cut = 0;
    for (size_t most = 0; most < 40; most++) {
        struct answer answer = run(tokenizer, texts[1], 0, 0, true, most);
        const char *mark = strstr(answer.text, "\xef\xbf\xbd");
        size_t good = mark ? (size_t)(mark - answer.text) : answer.bytes;
        cr_assert_eq(strncmp(answer.text, texts[1], good), 0, "%s", answer.text);
        cr_assert_eq(mark != 0, answer.late, "only the finish gives up on a character");
        cut += mark != 0;
    }
    cr_assert_gt(cut, 0);
    ss_tokenizer_close(tokenizer);
}

Test(serve_tickets, nothing_is_added_after_a_stop)
{
    struct ss_tickets *tickets = create(1);
    struct ss_ticket *ticket = take(tickets);
    ticket->stopped = true;
    cr_assert_eq(ss_ticket_push(ticket, 5), SS_OK);
    cr_assert_eq(ss_ticket_finish(ticket), SS_OK);
    cr_assert(ss_ticket_unsent(ticket).token_count == 0 && ticket->completion_tokens == 0);
    ss_tickets_destroy(tickets);
}

Test(serve_tickets, tokens_alone_and_many)
{
    /* A model without a tokenizer; more tokens than any first room. */
    struct ss_tickets *tickets = create(1);
    struct ss_ticket *ticket = take(tickets);
    for (int32_t i = 0; i < 10000; i++)
        cr_assert_eq(ss_ticket_push(ticket, i * 7), SS_OK);
    cr_assert_eq(ss_ticket_finish(ticket), SS_OK);
    struct ss_piece piece = ss_ticket_unsent(ticket);
    cr_assert_eq(piece.token_count, 10000);
    cr_assert_eq(piece.text.bytes, 0);
    for (uint32_t i = 0; i < 10000; i++)
        cr_assert_eq(piece.tokens[i], i * 7);
    ss_ticket_sent(ticket);
    cr_assert_eq(ss_ticket_unsent(ticket).token_count, 0);
    cr_assert_eq(ticket->completion_tokens, 10000);
    ss_tickets_destroy(tickets);
}

Test(serve_tickets, much_text)
{
    struct ss_tokenizer *tokenizer = open_tokenizer("opt-tiny");
    struct ss_tickets *tickets = create(1);
    struct ss_ticket *ticket = take(tickets);
    uint32_t ids[IDS_MAX];
    size_t count, each = strlen(texts[0]);
    cr_assert_eq(ss_tokenizer_encode(tokenizer, texts[0], each, false, ids, IDS_MAX, &count),
                 SS_OK);
    ss_detokenizer_start(&ticket->detokenizer, tokenizer, true);
    for (int i = 0; i < 500; i++)
        for (size_t t = 0; t < count; t++)
            cr_assert_eq(ss_ticket_push(ticket, (int32_t)ids[t]), SS_OK);
    struct ss_piece piece = ss_ticket_unsent(ticket);
    cr_assert_eq(piece.text.bytes, 500 * each);
    for (size_t i = 0; i < 500; i++)
        cr_assert_eq(memcmp(piece.text.data + i * each, texts[0], each), 0);
    ss_tickets_destroy(tickets);
    ss_tokenizer_close(tokenizer);
}
