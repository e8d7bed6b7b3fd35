#include "pipeline/text/oniguruma.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <utf8proc.h>

#include "engine/base/memory.h"
#include "pipeline/text/unicode_table.h"

#define PATTERN_BYTES_MAX 65536

/* Oniguruma's \s, as members of a class. */
#define WHITE "\\t-\\r\\x{85}\\p{Z}"

struct translation {
    const char *pattern;
    size_t at;
    char *out;
    size_t used, room;
    bool in_class;       /* between [ and ] */
    bool in_class_front; /* nothing but ^ came since [ */
    int depth;           /* of groups */
    int caseless_depth;  /* of the outermost (?i: group; 0: none is open */
};

static enum ss_status refuse(const struct translation *t, size_t at, size_t length, const char *why)
{
    return ss_fail(SS_UNSUPPORTED, "the pattern has \"%.*s\" at byte %zu: %s", (int)length,
                   t->pattern + at, at, why);
}

static enum ss_status put(struct translation *t, const char *text, size_t length)
{
    if (t->room - t->used <= length) {
        size_t room = t->room ? t->room : 1024;
        while (room - t->used <= length)
            room *= 2;
        enum ss_status status = ss_realloc(&t->out, room, 1, "pattern");
        if (status)
            return status;
        t->room = room;
    }
    memcpy(t->out + t->used, text, length);
    t->used += length;
    t->out[t->used] = '\0';
    return SS_OK;
}

static enum ss_status put_text(struct translation *t, const char *text)
{
    return put(t, text, strlen(text));
}

static enum ss_status take(struct translation *t, size_t length)
{
    t->at += length;
    return put(t, t->pattern + t->at - length, length);
}

/* Puts a set: as members inside a class, else as a class of its own. */
static enum ss_status put_set(struct translation *t, bool negated, const char *members)
{
    if (t->in_class)
        return put_text(t, members);
    enum ss_status status = put_text(t, negated ? "[^" : "[");
    if (!status)
        status = put_text(t, members);
    return status ? status : put_text(t, "]");
}

/* "Lu" and so on, by utf8proc_category_t. */
static const char *const category_names[] = {
    "Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps",
    "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co",
};

static bool is_category(const char *name, size_t length)
{
    if (length == 1)
        return strchr("LMNPSZ", name[0]) != 0;
    /* Cn, Cs and Co are left out: what Unicode added since would have to be taken away. */
    for (size_t i = UTF8PROC_CATEGORY_LU; i <= UTF8PROC_CATEGORY_CF; i++)
        if (length == 2 && memcmp(name, category_names[i], 2) == 0)
            return true;
    return false;
}

/* The members of category NAME: what PCRE2 takes for it, and what it may not know yet. */
static enum ss_status put_category(struct translation *t, bool negated, const char *name,
                                   size_t length)
{
    char members[4096];
    size_t used = (size_t)snprintf(members, sizeof members, "\\p{%.*s}", (int)length, name);
    size_t count;
    const struct ss_unicode_range *ranges = ss_unicode_additions(&count);
    for (size_t i = 0; i < count; i++) {
        if (memcmp(category_names[ranges[i].category], name, length) != 0)
            continue;
        used += (size_t)snprintf(members + used, sizeof members - used, "\\x{%x}-\\x{%x}",
                                 ranges[i].first, ranges[i].last);
    }
    return put_set(t, negated, members);
}

/* \p{L}, \p{^L} or \P{L}; also \pL, which Oniguruma does not have. */
static enum ss_status property(struct translation *t)
{
    size_t start = t->at;
    bool negated = t->pattern[start + 1] == 'P';
    if (t->pattern[start + 2] != '{')
        return refuse(t, start, 2, "a property is written \\p{...}");
    const char *name = t->pattern + start + 3;
    const char *close = strchr(name, '}');
    if (!close)
        return refuse(t, start, 3, "the closing } is missing");
    if (name[0] == '^') {
        negated = !negated;
        name++;
    }
    size_t length = (size_t)(close - name);
    size_t whole = (size_t)(close - t->pattern) + 1 - start;
    if (!is_category(name, length))
        return refuse(t, start, whole < 64 ? whole : 64,
                      "only general categories (L, Lu, N, Nd, P, ...) are supported");
    if (negated && t->in_class)
        return refuse(t, start, whole, "a negated property inside [...] is not supported");
    if (t->caseless_depth)
        return refuse(t, start, whole, "a property inside (?i:...) is not supported");
    t->at += whole;
    return put_category(t, negated, name, length);
}

static enum ss_status escape(struct translation *t)
{
    unsigned char letter = (unsigned char)t->pattern[t->at + 1];
    switch (letter) {
    case 'p':
    case 'P':
        return property(t);
    case 's':
        t->at += 2;
        return put_set(t, false, WHITE);
    case 'd':
        t->at += 2;
        return put_category(t, false, "Nd", 2);
    case 'S':
    case 'D':
        if (t->in_class)
            return refuse(t, t->at, 2, "a negated set inside [...] is not supported");
        t->at += 2;
        return letter == 'S' ? put_set(t, true, WHITE) : put_category(t, true, "Nd", 2);
    case 'v':
        t->at += 2; /* the one character here, a set in PCRE2 */
        return put_text(t, "\\x0b");
    case 't':
    case 'n':
    case 'r':
    case 'f':
        return take(t, 2);
    case '\0':
        return refuse(t, t->at, 1, "nothing follows it");
    default:
        if (!ispunct(letter))
            return refuse(t, t->at, letter < 0x80 ? 2 : 1, "this escape is not supported");
        return take(t, 2);
    }
}

/* One step inside [...]. */
static enum ss_status class_step(struct translation *t)
{
    char c = t->pattern[t->at];
    bool front = t->in_class_front;
    t->in_class_front = false;
    if (c == '\\')
        return escape(t);
    if (c == '[')
        return refuse(t, t->at, 1, "a bracket inside [...] must be written \\[");
    if (c == '&' && t->pattern[t->at + 1] == '&')
        return refuse(t, t->at, 2, "class intersection is not supported");
    if (c == ']') {
        if (front)
            return refuse(t, t->at, 1, "a class must not be empty");
        t->in_class = false;
    }
    if ((unsigned char)c >= 0x80 && t->caseless_depth)
        return refuse(t, t->at, 0, "only ASCII is supported inside (?i:...)");
    return take(t, 1);
}

static enum ss_status open_class(struct translation *t)
{
    t->in_class = true;
    t->in_class_front = true;
    return take(t, t->pattern[t->at + 1] == '^' ? 2 : 1);
}

static enum ss_status open_group(struct translation *t)
{
    static const char *const forms[] = {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"};
    const char *here = t->pattern + t->at;
    t->depth++;
    if (here[1] != '?')
        return here[1] == '*' ? refuse(t, t->at, 2, "this is not a group") : take(t, 1);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        size_t length = strlen(forms[i]);
        if (strncmp(here, forms[i], length) != 0)
            continue;
        if (here[2] == 'i' && !t->caseless_depth)
            t->caseless_depth = t->depth;
        return take(t, length);
    }
    return refuse(t, t->at, strnlen(here, 3), "this kind of group is not supported");
}

/* {n}, {n,} and {n,m}, and whether they are greedy; {,m} and a trailing + differ in the two. */
static enum ss_status repeat(struct translation *t)
{
    const char *here = t->pattern + t->at;
    size_t digits = strspn(here + 1, "0123456789");
    size_t length = 1 + digits;
    if (here[length] == ',')
        length += 1 + strspn(here + length + 1, "0123456789");
    if (digits == 0 || here[length] != '}')
        return refuse(t, t->at, 1, "a literal brace must be written \\{");
    length++;
    if (here[length] == '+')
        return refuse(t, t->at, length + 1, "a possessive {...} is not supported");
    if (here[length] == '?' && !memchr(here, ',', length))
        return refuse(t, t->at, length + 1, "a lazy {n} is not supported");
    return take(t, length);
}

/* Whether a case-insensitive "ss" stands here: Oniguruma matches one folded character with it. */
static bool folds_to_one(const struct translation *t)
{
    static const char *const pairs[] = {"ss", "st", "ff", "fi", "fl"};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (strncasecmp(t->pattern + t->at, pairs[i], 2) == 0)
            return true;
    return false;
}

static enum ss_status step(struct translation *t)
{
    if (t->in_class)
        return class_step(t);
    char c = t->pattern[t->at];
    switch (c) {
    case '\\':
        return escape(t);
    case '[':
        return open_class(t);
    case '(':
        return open_group(t);
    case ')':
        if (t->depth == t->caseless_depth)
            t->caseless_depth = 0;
        t->depth -= t->depth > 0;
        return take(t, 1);
    case '{':
        return repeat(t);
    case '^':
    case '$':
        return refuse(t, t->at, 1, "anchors are not supported");
    default:
        if ((unsigned char)c >= 0x80 && t->caseless_depth)
            return refuse(t, t->at, 0, "only ASCII is supported inside (?i:...)");
        if (t->caseless_depth && folds_to_one(t))
            return refuse(t, t->at, 2, "inside (?i:...) this would also be a single letter");
        return take(t, 1);
    }
}

enum ss_status ss_oniguruma_to_pcre2(const char *pattern, char **out)
{
    struct translation t = {.pattern = pattern};
    size_t bytes = strlen(pattern);
    if (bytes > PATTERN_BYTES_MAX)
        return ss_fail(SS_UNSUPPORTED, "the pattern has %zu bytes; at most %d are supported", bytes,
                       PATTERN_BYTES_MAX);
    enum ss_status status = put(&t, "", 0);
    while (!status && pattern[t.at])
        status = step(&t);
    if (status) {
        ss_free(t.out);
        return status;
    }
    *out = t.out;
    return SS_OK;
}
