#include "engine/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/fault.h"
#include "engine/base/memory.h"
#include "engine/config/checks.h"
#include "engine/config/mistakes.h"
#include "engine/config/read_text.h"
#include "engine/config/walk.h"
#include "engine/config/yaml.h"

static void free_model(struct ss_config_model *model)
{
    ss_free(model->name);
    ss_free(model->path);
    ss_free(model->synthetic);
    ss_free(model->dtype);
    ss_free(model->tokenizer);
}

void ss_config_destroy(struct ss_config *config)
{
    if (config == NULL)
        return;
    for (int i = 0; i < config->model_count; i++)
        free_model(&config->models[i]);
    ss_free(config->models);
    for (int i = 0; i < SS_ENDPOINTS_MAX; i++)
        ss_free(config->server.endpoints[i]);
    ss_free(config->server.curve_secret_key_file);
    ss_free(config->server.curve_client_keys_file);
    ss_free(config->device.kind);
    ss_free(config->device.compute);
    ss_free(config->policy);
    ss_free(config->trace);
    ss_free(config->log_level);
    ss_free(config->path);
    ss_free(config);
}

/* The whole of PATH, SS_YAML_BYTES_MAX at most, in *TEXT, freed with ss_free(). */
static enum ss_status read_file(const char *path, char **text, size_t *bytes)
{
    enum ss_status status;
    struct stat info;
    char *buffer = NULL;
    size_t used = 0;
    int file = -1;

    if (ss_fault(SS_FAULT_FILE))
        errno = EIO;
    else
        file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold the start */
    if (file < 0)
        return ss_fail_errno(SS_IO, errno, "%s: cannot open the configuration", path);
    if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
        status = ss_fail(SS_INVALID, "%s: found no regular file, expected a YAML file", path);
        goto close_file;
    }
    if (info.st_size > (off_t)SS_YAML_BYTES_MAX) {
        status = ss_fail(SS_INVALID, "%s: found %lld bytes, expected a configuration of %u at most",
                         path, (long long)info.st_size, SS_YAML_BYTES_MAX);
        goto close_file;
    }
    status = ss_alloc(&buffer, (size_t)info.st_size + 1, 1, "the configuration's text");
    if (status != SS_OK)
        goto close_file;
    while (used < (size_t)info.st_size) {
        ssize_t got = read(file, buffer + used, (size_t)info.st_size - used);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            status = ss_fail_errno(SS_IO, errno, "%s: cannot read the configuration", path);
            ss_free(buffer);
            goto close_file;
        }
        if (got == 0)
            break;
        used += (size_t)got;
    }
    *text = buffer;
    *bytes = used;
close_file:
    close(file);
    return status;
}

/* The folder that PATH's relative paths start at, absolute, freed with free(). */
static enum ss_status folder_of(const char *path, char **out)
{
    char *copy, *folder;
    enum ss_status status = ss_strdup(&copy, path);

    if (status != SS_OK)
        return status;
    folder = realpath(dirname(copy), NULL);
    if (folder == NULL)
        status =
            ss_fail_errno(SS_IO, errno, "%s: cannot find the folder of the configuration", path);
    else
        *out = folder;
    ss_free(copy);
    return status;
}

/* Everything after the bytes are there; MISTAKES is empty. */
static enum ss_status read_tree(const char *path, const char *folder, const char *text,
                                size_t bytes, struct ss_mistakes *mistakes, struct ss_config **out)
{
    struct ss_reading reading = {.mistakes = mistakes, .folder = folder};
    struct ss_yaml *yaml = NULL;
    enum ss_status status = ss_alloc(&reading.config, 1, sizeof *reading.config, "a configuration");

    if (status != SS_OK)
        return status;
    status = ss_strdup(&reading.config->path, path);
    if (status == SS_OK)
        status = ss_yaml_parse(text, bytes, mistakes, &yaml);
    if (status != SS_OK)
        goto done;
    reading.yaml = yaml;
    status = ss_walk(&reading);
    if (status != SS_OK)
        goto done;
    ss_fill_defaults(&reading);
    ss_check(&reading);
done:
    ss_free(reading.models);
    ss_yaml_destroy(yaml);
    if (status == SS_OK && mistakes->count == 0)
        *out = reading.config;
    else
        ss_config_destroy(reading.config);
    return status;
}

enum ss_status ss_config_read_text(const char *path, const char *folder, const char *text,
                                   size_t bytes, FILE *stream, struct ss_config **out)
{
    struct ss_mistakes *mistakes;
    enum ss_status status = ss_mistakes_create(&mistakes);

    if (status != SS_OK)
        return status;
    status = read_tree(path, folder, text, bytes, mistakes, out);
    if (status == SS_OK && mistakes->count > 0) {
        ss_mistakes_print(mistakes, path, stream);
        status = ss_fail(SS_INVALID, "%s: %zu mistake%s", path, mistakes->count,
                         mistakes->count == 1 ? "" : "s");
    }
    ss_mistakes_destroy(mistakes);
    return status;
}

enum ss_status ss_config_read(const char *path, FILE *mistakes, struct ss_config **out)
{
    char *text = NULL, *folder = NULL;
    size_t bytes = 0;
    enum ss_status status = read_file(path, &text, &bytes);

    if (status == SS_OK)
        status = folder_of(path, &folder);
    if (status != SS_OK)
        fprintf(mistakes, "%s\n", ss_status_message());
    else
        status = ss_config_read_text(path, folder, text, bytes, mistakes, out);
    free(folder);
    ss_free(text);
    return status;
}
