#include "engine/config/value.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/config/quote.h"

#define EXPECTED_BYTES 160

static enum ss_status unexpected(const struct ss_key *key, const char *text, bool quoted)
{
    char found[SS_QUOTE_BYTES], expected[EXPECTED_BYTES];
    const char *hint = quoted && key->type <= SS_KEY_SHARE ? " without quotes" : "";

    ss_key_expected(key, expected, sizeof expected);
    if (*text == '\0')
        return ss_fail(SS_INVALID, "found nothing, expected %s", expected);
    return ss_fail(SS_INVALID, "found %s, expected %s%s", ss_quote(text, found, sizeof found),
                   expected, hint);
}

static enum ss_status set_integer(const struct ss_key *key, void *field, const char *text)
{
    unsigned long long value;

    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
        return unexpected(key, text, false);
    errno = 0;
    value = strtoull(text, NULL, 10);
    if (errno != 0 || value < key->min || value > key->max)
        return unexpected(key, text, false);
    if (key->type == SS_KEY_INT)
        *(int *)field = (int)value;
    else if (key->type == SS_KEY_U32)
        *(uint32_t *)field = (uint32_t)value;
    else
        *(uint64_t *)field = value;
    return SS_OK;
}

/* A share or any real. */
static enum ss_status set_real(const struct ss_key *key, void *field, const char *text)
{
    bool share = key->type == SS_KEY_SHARE;
    char *end;
    double value;

    /* The characters first: strtod() takes "inf", "nan" and hexadecimal digits too. */
    if (text[0] == '\0' || text[strspn(text, "0123456789.eE+-")] != '\0')
        return unexpected(key, text, false);
    value = strtod(text, &end);
    if (*end == '\0' && isinf(value)) {
        char found[SS_QUOTE_BYTES], expected[EXPECTED_BYTES];
        return ss_fail(SS_INVALID, "found %s, which is too large, expected %s",
                       ss_quote(text, found, sizeof found),
                       ss_key_expected(key, expected, sizeof expected));
    }
    if (*end != '\0' || (share && !(value > 0 && value <= 1)))
        return unexpected(key, text, false);
    if (!share && !(value >= (double)key->min && value <= (double)key->max))
        return unexpected(key, text, false);
    *(double *)field = value;
    return SS_OK;
}

static enum ss_status set_bool(const struct ss_key *key, void *field, const char *text)
{
    bool value = strcmp(text, "true") == 0;

    if (!value && strcmp(text, "false") != 0)
        return unexpected(key, text, false);
    *(bool *)field = value;
    return SS_OK;
}

static enum ss_status set_quantity(const struct ss_key *key, void *field, const char *text)
{
    uint64_t value;
    enum ss_status status;

    if (text[0] == '\0')
        return unexpected(key, text, false);
    status = ss_units_parse(ss_key_quantity(key->type), text, &value);
    if (status != SS_OK)
        return status;
    if (value < key->min || value > key->max)
        return unexpected(key, text, false);
    if (key->type == SS_KEY_SIZE)
        *(size_t *)field = value;
    else if (key->type == SS_KEY_RATE || key->type == SS_KEY_TIME)
        *(uint64_t *)field = value;
    else
        *(double *)field = (double)value;
    return SS_OK;
}

static bool is_choice(const char *choices, const char *text)
{
    size_t length = strlen(text);

    while (*choices != '\0') {
        size_t bytes = strcspn(choices, "|");

        if (bytes == length && memcmp(choices, text, bytes) == 0)
            return true;
        choices += bytes + (choices[bytes] == '|');
    }
    return false;
}

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++)
        if (iscntrl((unsigned char)*text))
            return true;
    return false;
}

static enum ss_status replace(char **field, const char *text)
{
    char *copy;
    enum ss_status status = ss_strdup(&copy, text);

    if (status != SS_OK)
        return status;
    ss_free(*field);
    *field = copy;
    return SS_OK;
}

static enum ss_status set_path(const struct ss_key *key, char **field, const char *text,
                               const char *folder)
{
    char *joined;
    size_t bytes;
    enum ss_status status;

    if (text[0] == '\0' || has_control(text))
        return unexpected(key, text, false);
    if (text[0] == '~')
        return ss_fail(SS_INVALID,
                       "found a path that starts with ~, expected it written out: ~ is not "
                       "expanded");
    if (text[0] == '/')
        return replace(field, text);
    bytes = strlen(folder) + strlen(text) + 2;
    status = ss_alloc(&joined, bytes, 1, "a path");
    if (status != SS_OK)
        return status;
    snprintf(joined, bytes, "%s/%s", folder, text);
    ss_free(*field);
    *field = joined;
    return SS_OK;
}

static enum ss_status set_text(const struct ss_key *key, char **field, const char *text)
{
    size_t length = strlen(text);

    if (length < key->min || length > key->max || has_control(text))
        return unexpected(key, text, false);
    return replace(field, text);
}

/* Any host and any path may do; a port is a number, or * for one that is free. */
static bool is_endpoint(const char *text)
{
    const char *rest = text + strlen("tcp://"), *port;
    char *end;

    if (strncmp(text, "ipc://", strlen("ipc://")) == 0)
        return *rest != '\0';
    if (strncmp(text, "tcp://", strlen("tcp://")) != 0)
        return false;
    port = strrchr(rest, ':');
    if (port == NULL || port == rest)
        return false;
    if (strcmp(port, ":*") == 0)
        return true;
    return isdigit((unsigned char)port[1]) && strtoul(port + 1, &end, 10) <= 65535 && *end == '\0';
}

enum ss_status ss_value_set(const struct ss_key *key, void *base, const char *text, bool quoted,
                            const char *folder)
{
    void *field = (char *)base + key->offset;

    if (quoted && key->type <= SS_KEY_SHARE)
        return unexpected(key, text, true);
    switch (key->type) {
    case SS_KEY_BOOL:
        return set_bool(key, field, text);
    case SS_KEY_INT:
    case SS_KEY_U32:
    case SS_KEY_U64:
        return set_integer(key, field, text);
    case SS_KEY_REAL:
    case SS_KEY_SHARE:
        return set_real(key, field, text);
    case SS_KEY_CHOICE:
        return is_choice(key->choices, text) ? replace(field, text) : unexpected(key, text, false);
    case SS_KEY_PATH:
        return set_path(key, field, text, folder);
    case SS_KEY_TEXT:
        return set_text(key, field, text);
    case SS_KEY_ENDPOINT:
        return is_endpoint(text) ? replace(field, text) : unexpected(key, text, false);
    default:
        return set_quantity(key, field, text);
    }
}

void ss_value_clear(const struct ss_key *key, void *base)
{
    char **text = (char **)((char *)base + key->offset);
    struct ss_texts *texts = (struct ss_texts *)((char *)base + key->offset);

    switch (key->type) {
    case SS_KEY_CHOICE:
    case SS_KEY_TEXT:
    case SS_KEY_PATH:
    case SS_KEY_ENDPOINT:
        ss_free(*text);
        *text = NULL;
        return;
    case SS_KEY_ENDPOINTS:
    case SS_KEY_TEXTS:
        for (uint64_t i = 0; i < texts->count; i++) {
            ss_free(texts->items[i]);
            texts->items[i] = NULL;
        }
        texts->count = 0;
        return;
    default:
        return;
    }
}
