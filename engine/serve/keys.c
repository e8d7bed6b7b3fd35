#include "engine/serve/keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"

#define KEY_CHARACTERS 40

/* Appends each key of the file at PATH to *KEYS. */
static enum ss_status read_file(const char *path, char ***keys, size_t *count)
{
    char line[256];
    int number = 0;
    enum ss_status status = SS_OK;
    FILE *file = fopen(path, "re");
    if (!file)
        return ss_fail_errno(SS_IO, errno, "%s", path);
    while (!status && fgets(line, sizeof line, file)) {
        number++;
        line[strcspn(line, "#\r\n")] = 0;
        char *key = line + strspn(line, " \t");
        key[strcspn(key, " \t")] = 0;
        if (!*key)
            continue;
        if (strlen(key) != KEY_CHARACTERS) {
            status = ss_fail(SS_INVALID, "%s:%d: found %zu characters, a key has %d", path, number,
                             strlen(key), KEY_CHARACTERS);
            break;
        }
        status = ss_realloc(keys, *count + 1, sizeof **keys, "keys");
        if (!status)
            status = ss_strdup(&(*keys)[*count], key);
        if (!status)
            ++*count;
    }
    explicit_bzero(line, sizeof line);
    fclose(file);
    return status;
}

enum ss_status ss_keys_read(const struct ss_config *config, struct ss_keys *out)
{
    struct ss_keys keys = {0};
    char **secrets = 0;
    size_t secret_count = 0;
    enum ss_status status = SS_OK;
    if (!config->server.curve_secret_key_file)
        return SS_OK;
    status = read_file(config->server.curve_secret_key_file, &secrets, &secret_count);
    if (!status && secret_count != 1)
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
    for (size_t i = 0; i < secret_count; i++) {
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
