#include "engine/config/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES_MAX 64

bool ss_key_required(const struct ss_key *key)
{
    return key->fallback == NULL && key->note == NULL;
}

bool ss_key_of_item(const struct ss_key *key)
{
    return strstr(key->path, "[].") != NULL;
}

bool ss_key_is_list(enum ss_key_type type)
{
    return ss_key_item_type(type) != type;
}

enum ss_key_type ss_key_item_type(enum ss_key_type type)
{
    switch (type) {
    case SS_KEY_ENDPOINTS:
        return SS_KEY_ENDPOINT;
    case SS_KEY_TEXTS:
        return SS_KEY_TEXT;
    case SS_KEY_REALS:
        return SS_KEY_REAL;
    case SS_KEY_TIMES:
        return SS_KEY_TIME;
    default:
        return type;
    }
}

bool ss_key_is_quantity(enum ss_key_type type)
{
    return type == SS_KEY_SIZE || type == SS_KEY_RATE || type == SS_KEY_RATE_REAL ||
           type == SS_KEY_FLOPS || type == SS_KEY_TIME;
}

enum ss_quantity ss_key_quantity(enum ss_key_type type)
{
    if (type == SS_KEY_SIZE)
        return SS_QUANTITY_SIZE;
    if (type == SS_KEY_TIME)
        return SS_QUANTITY_TIME;
    return type == SS_KEY_FLOPS ? SS_QUANTITY_FLOPS : SS_QUANTITY_RATE;
}

/* "cpu|cuda" as "cpu or cuda", "a|b|c" as "a, b or c". */
static const char *spell_choices(const char *choices, char *out, size_t bytes)
{
    size_t used = 0;

    out[0] = '\0';
    while (*choices != '\0' && used < bytes) {
        size_t length = strcspn(choices, "|");
        const char *rest = choices + length + (choices[length] == '|');
        const char *join = used == 0 ? "" : *rest == '\0' ? " or " : ", ";

        used += (size_t)snprintf(out + used, bytes - used, "%s%.*s", join, (int)length, choices);
        choices = rest;
    }
    return out;
}

static const char *spell_number(const struct ss_key *key, const char *what, char *out, size_t bytes)
{
    if (key->max == UINT64_MAX)
        snprintf(out, bytes, "%s, %" PRIu64 " or more", what, key->min);
    else
        snprintf(out, bytes, "%s from %" PRIu64 " to %" PRIu64, what, key->min, key->max);
    return out;
}

static const char *spell_quantity(const struct ss_key *key, char *out, size_t bytes)
{
    enum ss_quantity quantity = ss_key_quantity(key->type);
    char min[32], max[32];
    int used = snprintf(out, bytes, "%s", ss_units_example(quantity));

    if (used < 0 || (size_t)used >= bytes)
        return out;
    ss_units_format(quantity, key->min, min, sizeof min);
    ss_units_format(quantity, key->max, max, sizeof max);
    if (key->max != UINT64_MAX && key->min > 0)
        snprintf(out + used, bytes - (size_t)used, ", from %s to %s", min, max);
    else if (key->max != UINT64_MAX)
        snprintf(out + used, bytes - (size_t)used, ", %s at most", max);
    else if (key->min > 0)
        snprintf(out + used, bytes - (size_t)used, ", %s at least", min);
    return out;
}

static const char *spell_list(const struct ss_key *key, const char *what, char *out, size_t bytes)
{
    snprintf(out, bytes, "%s, or a list of %" PRIu64 " at most", what, key->max);
    return out;
}

const char *ss_key_expected(const struct ss_key *key, char *out, size_t bytes)
{
    switch (key->type) {
    case SS_KEY_BOOL:
        snprintf(out, bytes, "true or false");
        return out;
    case SS_KEY_INT:
    case SS_KEY_U32:
    case SS_KEY_U64:
        return spell_number(key, "an integer", out, bytes);
    case SS_KEY_REAL:
        return spell_number(key, "a number", out, bytes);
    case SS_KEY_SHARE:
        snprintf(out, bytes, "a number over 0, 1 at most");
        return out;
    case SS_KEY_CHOICE:
        return spell_choices(key->choices, out, bytes);
    case SS_KEY_TEXT:
        snprintf(out, bytes, "a text of 1 to %" PRIu64 " bytes", key->max);
        return out;
    case SS_KEY_PATH:
        snprintf(out, bytes, "a path");
        return out;
    case SS_KEY_ENDPOINT:
        snprintf(out, bytes, "tcp://HOST:PORT or ipc://PATH");
        return out;
    case SS_KEY_ENDPOINTS:
        return spell_list(key, "an endpoint", out, bytes);
    case SS_KEY_TEXTS:
        return spell_list(key, "a text", out, bytes);
    case SS_KEY_REALS:
        return spell_list(key, "a number", out, bytes);
    case SS_KEY_TIMES:
        return spell_list(key, "a time such as 250ms", out, bytes);
    default:
        return spell_quantity(key, out, bytes);
    }
}

int ss_key_find(const struct ss_schema *schema, const char *path)
{
    for (size_t i = 0; i < schema->key_count; i++)
        if (strcmp(schema->keys[i].path, path) == 0)
            return (int)i;
    return -1;
}

bool ss_key_is_section(const struct ss_schema *schema, const char *path)
{
    size_t length = strlen(path);

    for (size_t i = 0; i < schema->key_count; i++)
        if (strncmp(schema->keys[i].path, path, length) == 0 &&
            (schema->keys[i].path[length] == '.' || schema->keys[i].path[length] == '['))
            return true;
    return false;
}

/* The name directly below PREFIX on the way to KEY, in NAME; false where KEY is elsewhere. */
static bool name_below(const struct ss_key *key, const char *prefix, char *name, size_t bytes)
{
    size_t length = strlen(prefix);
    const char *rest = key->path;

    if (length > 0) {
        if (strncmp(rest, prefix, length) != 0 || rest[length] != '.')
            return false;
        rest += length + 1;
    }
    snprintf(name, bytes, "%.*s", (int)strcspn(rest, ".["), rest);
    return true;
}

/* Edit distance by the usual dynamic programme (Wagner and Fischer, 1974), one row kept. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_BYTES_MAX + 1], a_length = strlen(a), b_length = strlen(b);

    if (a_length > NAME_BYTES_MAX || b_length > NAME_BYTES_MAX)
        return NAME_BYTES_MAX;
    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_length];
}

const char *ss_key_suggest(const struct ss_schema *schema, const char *prefix, const char *name,
                           char *buffer, size_t bytes)
{
    size_t best = strlen(name) / 3 + 1;
    char candidate[NAME_BYTES_MAX];
    bool found = false;

    if (best > 3)
        best = 3;
    for (size_t i = 0; i < schema->key_count; i++) {
        if (!name_below(&schema->keys[i], prefix, candidate, sizeof candidate))
            continue;
        if (distance(name, candidate) < best + !found) {
            best = distance(name, candidate);
            snprintf(buffer, bytes, "%s", candidate);
            found = true;
        }
    }
    if (found)
        return buffer;
    for (size_t i = 0; i < schema->key_count; i++) {
        const char *last = strrchr(schema->keys[i].path, '.');

        if (strcmp(last != NULL ? last + 1 : schema->keys[i].path, name) == 0)
            return schema->keys[i].path;
    }
    return NULL;
}

const char *ss_key_names(const struct ss_schema *schema, const char *prefix, char *out,
                         size_t bytes)
{
    char name[NAME_BYTES_MAX], previous[NAME_BYTES_MAX] = "";
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < schema->key_count && used < bytes; i++) {
        if (!name_below(&schema->keys[i], prefix, name, sizeof name) || strcmp(name, previous) == 0)
            continue;
        used += (size_t)snprintf(out + used, bytes - used, "%s%s", used > 0 ? ", " : "", name);
        snprintf(previous, sizeof previous, "%s", name);
    }
    return out;
}
