#include "pipeline/text/added_tokens.h"

#include "engine/base/memory.h"
#include "pipeline/text/span.h"
#include "pipeline/text/unicode_table.h"
#include "pipeline/text/utf8.h"

struct ss_added_node {
    uint32_t child, sibling; /* 0: none; node 0 is not used */
    uint32_t token;          /* that ends here, or SS_NO_TOKEN */
    uint8_t byte;
};

void ss_added_tokens_free(struct ss_added_tokens *tokens)
{
    ss_free(tokens->tokens);
    ss_free(tokens->raw.nodes);
    ss_free(tokens->normalized.nodes);
    *tokens = (struct ss_added_tokens){0};
}

static enum ss_status new_node(struct ss_added_trie *trie, uint8_t byte, uint32_t *out)
{
    if (trie->count + 1 >= trie->room) {
        uint32_t room = trie->room ? 2 * trie->room : 256;
        enum ss_status status =
            ss_realloc(&trie->nodes, room, sizeof *trie->nodes, "added tokens' letters");
        if (status)
            return status;
        trie->room = room;
    }
    *out = ++trie->count;
    trie->nodes[*out] = (struct ss_added_node){.byte = byte, .token = SS_NO_TOKEN};
    return SS_OK;
}

static uint32_t find_child(const struct ss_added_trie *trie, uint32_t node, uint8_t byte)
{
    uint32_t child = trie->nodes[node].child;
    while (child && trie->nodes[child].byte != byte)
        child = trie->nodes[child].sibling;
    return child;
}

enum ss_status ss_added_trie_add(struct ss_added_trie *trie, const uint8_t *text, size_t bytes,
                                 uint32_t token)
{
    uint32_t node = trie->first[text[0]];
    enum ss_status status = SS_OK;
    if (!node) {
        status = new_node(trie, text[0], &node);
        if (status)
            return status;
        trie->first[text[0]] = node;
    }
    for (size_t i = 1; i < bytes; i++) {
        uint32_t child = find_child(trie, node, text[i]);
        if (!child) {
            status = new_node(trie, text[i], &child);
            if (status)
                return status;
            trie->nodes[child].sibling = trie->nodes[node].child;
            trie->nodes[node].child = child;
        }
        node = child;
    }
    if (trie->nodes[node].token == SS_NO_TOKEN)
        trie->nodes[node].token = token;
    return SS_OK;
}

/* The longest text that stands at TEXT, its length in *LENGTH; SS_NO_TOKEN if none does. */
static uint32_t longest_at(const struct ss_added_trie *trie, const uint8_t *text, size_t bytes,
                           size_t *length)
{
    uint32_t found = SS_NO_TOKEN, node = trie->first[text[0]];
    for (size_t i = 1; node; i++) {
        if (trie->nodes[node].token != SS_NO_TOKEN) {
            found = trie->nodes[node].token;
            *length = i;
        }
        node = i < bytes ? find_child(trie, node, text[i]) : 0;
    }
    return found;
}

static enum ss_status add_part(struct ss_added_parts *parts, size_t start, size_t end, uint32_t id)
{
    if (parts->count == parts->room) {
        size_t room = parts->room ? 2 * parts->room : 16;
        enum ss_status status = ss_realloc(&parts->at, room, sizeof *parts->at, "text parts");
        if (status)
            return status;
        parts->room = room;
    }
    parts->at[parts->count++] = (struct ss_added_part){start, end, id};
    return SS_OK;
}

static bool is_whole_word(const uint8_t *text, size_t bytes, size_t start, size_t end)
{
    size_t length;
    if (start > 0 && ss_unicode_is_word(ss_utf8_decode_back(text, start, &length)))
        return false;
    return end == bytes || !ss_unicode_is_word(ss_utf8_decode(text + end, &length));
}

/* Where the white space before START begins, not before FLOOR. */
static size_t strip_left(const uint8_t *text, size_t start, size_t floor)
{
    size_t length;
    while (start > floor && ss_unicode_is_white(ss_utf8_decode_back(text, start, &length)))
        start -= length;
    return start;
}

/* Where the white space from END on stops. *SEEN is what was last found white, so that a row of
 * matches in one long stretch does not walk through it again and again. */
static size_t strip_right(const uint8_t *text, size_t bytes, size_t end, struct ss_span *seen)
{
    size_t length;
    if (end >= seen->start && end < seen->end)
        return seen->end;
    seen->start = end;
    while (end < bytes && ss_unicode_is_white(ss_utf8_decode(text + end, &length)))
        end += length;
    seen->end = end;
    return end;
}

enum ss_status ss_added_tokens_split(const struct ss_added_tokens *tokens,
                                     const struct ss_added_trie *trie, const uint8_t *text,
                                     size_t bytes, struct ss_added_parts *parts)
{
    size_t done = 0, length = 0;
    struct ss_span white = {0, 0};
    enum ss_status status = SS_OK;
    parts->count = 0;
    for (size_t at = 0; at < bytes && !status; at += length) {
        uint32_t found = SS_NO_TOKEN;
        length = 1;
        if (trie->first[text[at]])
            found = longest_at(trie, text + at, bytes - at, &length);
        if (found == SS_NO_TOKEN) {
            length = 1;
            continue;
        }
        const struct ss_added_token *token = &tokens->tokens[found];
        size_t start = at, end = at + length;
        if (token->single_word && !is_whole_word(text, bytes, start, end))
            continue;
        if (token->lstrip)
            start = done < start ? strip_left(text, start, done) : done;
        if (token->rstrip)
            end = strip_right(text, bytes, end, &white);
        if (done < start)
            status = add_part(parts, done, start, SS_NO_TOKEN);
        if (!status && start < end)
            status = add_part(parts, start, end, token->id);
        done = end;
    }
    if (status || done == bytes)
        return status;
    return add_part(parts, done, bytes, SS_NO_TOKEN);
}
