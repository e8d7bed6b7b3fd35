#include "engine/serve/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"

#define KEY_CHARACTERS 40

/* ZeroMQ's base-85 alphabet (RFC 32); # is one of its characters. */
static const char z85[] =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/* Finds the key of LINE: *OUT, ended in place; null where the line is blank or a comment. A word of
 * a key's length that begins with # is taken for a key. */
static enum ss_status parse_line(char *line, const char *path, int number, char **out)
{
    char *key = line + strspn(line, " \t\r\n");
    size_t characters = strcspn(key, " \t\r\n");
    const char *rest = key + characters + strspn(key + characters, " \t\r\n");
    if (*key == 0 || (*key == '#' && characters != KEY_CHARACTERS)) {
        *out = 0;
        return SS_OK;
    }
    if (characters != KEY_CHARACTERS)
        return ss_fail(SS_INVALID, "%s:%d: found %zu characters, a key has %d", path, number,
                       characters, KEY_CHARACTERS);
    if (strspn(key, z85) < KEY_CHARACTERS)
        return ss_fail(SS_INVALID, "%s:%d: character %zu is not of the Z85 alphabet", path, number,
                       strspn(key, z85) + 1);
    if (*rest && *rest != '#')
        return ss_fail(SS_INVALID, "%s:%d: found text behind the key, expected one key a line",
                       path, number);
    key[KEY_CHARACTERS] = 0;
    *out = key;
    return SS_OK;
}

/* Appends each key of the file at PATH to *KEYS. */
static enum ss_status read_file(const char *path, char ***keys, size_t *count)
{
    char *line = 0, *key = 0;
    size_t room = 0;
    enum ss_status status = SS_OK;
    FILE *file = fopen(path, "re");
    if (!file)
        return ss_fail_errno(SS_IO, errno, "%s", path);
    for (int number = 1; !status && getline(&line, &room, file) >= 0; number++) {
        status = parse_line(line, path, number, &key);
        if (status || !key)
            continue;
        status = ss_realloc(keys, *count + 1, sizeof **keys, "keys");
        if (!status)
            status = ss_strdup(&(*keys)[*count], key);
        if (!status)
            ++*count;
    }
    if (!status && ferror(file))
        status = ss_fail_errno(SS_IO, errno, "%s", path);
    if (line)
        explicit_bzero(line, room);
    free(line);
    fclose(file);
    return status;
}

enum ss_status ss_keys_read(const struct ss_config *config, struct ss_keys *out)
{
    struct ss_keys keys = {0};
    char **secrets = 0;
    size_t secret_count = 0;
    enum ss_status status = SS_OK;
    if (!config->server.curve_secret_key_file) {
        *out = keys;
        return SS_OK;
    }
    status = read_file(config->server.curve_secret_key_file, &secrets, &secret_count);
    if (!status && (!secrets || secret_count != 1))
        status = ss_fail(SS_INVALID, "%s: found %zu keys, expected one",
                         config->server.curve_secret_key_file, secret_count);
    if (!status && config->server.curve_client_keys_file)
        status =
            read_file(config->server.curve_client_keys_file, &keys.clients, &keys.client_count);
    if (!status) {
        keys.secret = secrets[0];
        secret_count = 0;
        *out = keys;
    } else {
        ss_keys_release(&keys);
    }
    for (size_t i = 0; secrets && i < secret_count; i++) {
        explicit_bzero(secrets[i], strlen(secrets[i]));
        ss_free(secrets[i]);
    }
    ss_free(secrets);
    return status;
}

void ss_keys_release(struct ss_keys *keys)
{
    if (keys->secret)
        explicit_bzero(keys->secret, strlen(keys->secret));
    ss_free(keys->secret);
    for (size_t i = 0; i < keys->client_count; i++)
        ss_free(keys->clients[i]);
    ss_free(keys->clients);
}
