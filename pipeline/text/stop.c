#include "pipeline/text/stop.h"

#include <string.h>

#include "engine/base/memory.h"
#include "pipeline/text/utf8.h"

/* A state is the longest start of a stop string that the text so far ends with. State 0 is none. */
struct state {
    uint32_t child, sibling; /* 0: none */
    uint32_t shorter;        /* the next longest such start */
    uint32_t depth;          /* its length ... */
    uint32_t path;           /* ... and where it stands in the set's bytes */
    int matched;             /* the longest stop string that the text ends with; -1: none */
    uint8_t byte;            /* its last */
};

struct ss_stop_set {
    char *bytes;
    struct state *states;
    uint32_t states_count;
    uint32_t depth_max;
    uint32_t lengths[SS_STOP_SET_STRINGS_MAX];
};

static uint32_t child_of(const struct ss_stop_set *set, uint32_t state, uint8_t byte)
{
    uint32_t child = set->states[state].child;
    while (child && set->states[child].byte != byte)
        child = set->states[child].sibling;
    return child;
}

static uint32_t next_state(const struct ss_stop_set *set, uint32_t state, uint8_t byte)
{
    for (;;) {
        uint32_t child = child_of(set, state, byte);
        if (child || state == 0)
            return child;
        state = set->states[state].shorter;
    }
}

/* Adds the string whose bytes begin at PATH. */
static void add_string(struct ss_stop_set *set, int index, uint32_t path, uint32_t length)
{
    uint32_t state = 0;
    for (uint32_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)set->bytes[path + i];
        uint32_t child = child_of(set, state, byte);
        if (!child) {
            child = set->states_count++;
            set->states[child] = (struct state){.sibling = set->states[state].child,
                                                .depth = i + 1,
                                                .path = path,
                                                .matched = -1,
                                                .byte = byte};
            set->states[state].child = child;
        }
        state = child;
    }
    if (set->states[state].matched < 0)
        set->states[state].matched = index;
    set->lengths[index] = length;
    if (length > set->depth_max)
        set->depth_max = length;
}

/* Links every state to its next shorter one, level by level. QUEUE has room for all states. */
static void link_states(struct ss_stop_set *set, uint32_t *queue)
{
    uint32_t head = 0, tail = 0;
    queue[tail++] = 0;
    while (head < tail) {
        uint32_t parent = queue[head++];
        uint32_t child = set->states[parent].child;
        for (; child; child = set->states[child].sibling) {
            struct state *state = &set->states[child];
            if (parent)
                state->shorter = next_state(set, set->states[parent].shorter, state->byte);
            if (state->matched < 0)
                state->matched = set->states[state->shorter].matched;
            queue[tail++] = child;
        }
    }
}

static enum ss_status check_strings(const char *const *strings, const size_t *lengths, size_t count,
                                    size_t *bytes)
{
    if (count > SS_STOP_SET_STRINGS_MAX)
        return ss_fail(SS_INVALID, "%zu stop strings; at most %d can be given", count,
                       SS_STOP_SET_STRINGS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (lengths[i] == 0 || lengths[i] > SS_STOP_STRING_BYTES_MAX)
            return ss_fail(SS_INVALID, "stop string %zu has %zu bytes; it can have 1 to %d", i,
                           lengths[i], SS_STOP_STRING_BYTES_MAX);
        size_t whole = ss_utf8_whole_bytes((const uint8_t *)strings[i], lengths[i]);
        if (whole < lengths[i])
            return ss_fail(SS_INVALID, "stop string %zu is not UTF-8: byte 0x%02x at offset %zu", i,
                           (uint8_t)strings[i][whole], whole);
        *bytes += lengths[i];
    }
    return SS_OK;
}

enum ss_status ss_stop_set_create(const char *const *strings, const size_t *lengths, size_t count,
                                  struct ss_stop_set **out)
{
    size_t bytes = 0;
    struct ss_stop_set *set = 0;
    uint32_t *queue = 0;
    enum ss_status status = check_strings(strings, lengths, count, &bytes);
    if (!status)
        status = ss_alloc(&set, 1, sizeof *set, "stop strings");
    if (status)
        return status;
    status = ss_alloc(&set->bytes, bytes, 1, "stop strings");
    if (!status)
        status = ss_alloc(&set->states, bytes + 1, sizeof *set->states, "stop strings");
    if (!status)
        status = ss_alloc(&queue, bytes + 1, sizeof *queue, "stop strings");
    if (status) {
        ss_stop_set_destroy(set);
        return status;
    }
    set->states_count = 1;
    set->states[0].matched = -1;
    uint32_t path = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(set->bytes + path, strings[i], lengths[i]);
        add_string(set, (int)i, path, (uint32_t)lengths[i]);
        path += (uint32_t)lengths[i];
    }
    link_states(set, queue);
    ss_free(queue);
    *out = set;
    return SS_OK;
}

void ss_stop_set_destroy(struct ss_stop_set *set)
{
    if (!set)
        return;
    ss_free(set->bytes);
    ss_free(set->states);
    ss_free(set);
}

size_t ss_stop_held_max(const struct ss_stop_set *set)
{
    return set->depth_max;
}

void ss_stop_start(struct ss_stop_stream *stream, const struct ss_stop_set *set)
{
    *stream = (struct ss_stop_stream){.set = set, .matched = -1};
}

/* Writes the first LENGTH bytes that STATE holds. */
static size_t release(const struct ss_stop_set *set, uint32_t state, size_t length, char *out)
{
    memcpy(out, set->bytes + set->states[state].path, length);
    return length;
}

size_t ss_stop_push(struct ss_stop_stream *stream, const char *text, size_t bytes, char *out)
{
    const struct ss_stop_set *set = stream->set;
    size_t written = 0;
    for (size_t i = 0; i < bytes && stream->matched < 0; i++) {
        uint32_t old = stream->state;
        uint32_t state = next_state(set, old, (uint8_t)text[i]);
        uint32_t old_depth = set->states[old].depth, depth = set->states[state].depth;
        /* What was held and this byte are one longer than the old depth; all but the last DEPTH of
         * them are free. This byte is free only if nothing is held any more. */
        size_t freed = depth ? old_depth + 1 - depth : old_depth;
        written += release(set, old, freed, out + written);
        if (!depth)
            out[written++] = text[i];
        stream->state = state;
        stream->matched = set->states[state].matched;
        if (stream->matched >= 0)
            written += release(set, state, depth - set->lengths[stream->matched], out + written);
    }
    return written;
}

size_t ss_stop_finish(struct ss_stop_stream *stream, char *out)
{
    if (stream->matched >= 0)
        return 0;
    size_t written =
        release(stream->set, stream->state, stream->set->states[stream->state].depth, out);
    stream->state = 0;
    return written;
}
