#include "engine/config/document.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/fault.h"
#include "engine/base/memory.h"
#include "engine/config/value.h"

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
        return ss_fail_errno(SS_IO, errno, "%s: cannot open it", path);
    if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
        status = ss_fail(SS_INVALID, "%s: found no regular file, expected a YAML file", path);
        goto close_file;
    }
    if (info.st_size > (off_t)SS_YAML_BYTES_MAX) {
        status = ss_fail(SS_INVALID, "%s: found %lld bytes, expected a file of %u at most", path,
                         (long long)info.st_size, SS_YAML_BYTES_MAX);
        goto close_file;
    }
    status = ss_alloc(&buffer, (size_t)info.st_size + 1, 1, "the file's text");
    if (status != SS_OK)
        goto close_file;
    while (used < (size_t)info.st_size) {
        ssize_t got = read(file, buffer + used, (size_t)info.st_size - used);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            status = ss_fail_errno(SS_IO, errno, "%s: cannot read it", path);
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
        status = ss_fail_errno(SS_IO, errno, "%s: cannot find its folder", path);
    else
        *out = folder;
    ss_free(copy);
    return status;
}

void ss_document_release(const struct ss_schema *schema, void *base)
{
    for (size_t i = 0; i < schema->key_count; i++)
        if (!ss_key_of_item(&schema->keys[i]))
            ss_value_clear(&schema->keys[i], base);
}

void ss_document_release_items(const struct ss_schema *schema, void *items, int item_count)
{
    for (int item = 0; items != NULL && item < item_count; item++)
        for (size_t i = 0; i < schema->key_count; i++)
            if (ss_key_of_item(&schema->keys[i]))
                ss_value_clear(&schema->keys[i], (char *)items + (size_t)item * schema->item_bytes);
    ss_free(items);
}

/* Everything after the bytes are there; MISTAKES is empty. */
static enum ss_status read_tree(struct ss_reading *reading, const char *text, size_t bytes,
                                enum ss_status (*finish)(struct ss_reading *))
{
    struct ss_yaml *yaml = NULL;
    enum ss_status status = ss_yaml_parse(text, bytes, reading->mistakes, &yaml);

    if (status != SS_OK)
        return status;
    reading->yaml = yaml;
    status = ss_walk(reading);
    if (status == SS_OK && finish != NULL)
        status = finish(reading);
    if (reading->items != NULL)
        ss_document_release_items(reading->schema, reading->items, reading->item_count);
    ss_free(reading->item_nodes);
    ss_yaml_destroy(yaml);
    return status;
}

static enum ss_status read_text(const struct ss_schema *schema,
                                const struct ss_document_source *from, FILE *stream, void *base,
                                enum ss_status (*finish)(struct ss_reading *))
{
    struct ss_reading reading = {.schema = schema, .base = base, .folder = from->folder};
    enum ss_status status = ss_mistakes_create(&reading.mistakes);

    if (status != SS_OK)
        return status;
    status = read_tree(&reading, from->text, from->bytes, finish);
    if (status == SS_OK && reading.mistakes->count > 0) {
        ss_mistakes_print(reading.mistakes, from->path, stream);
        status = ss_fail(SS_INVALID, "%s: %zu mistake%s", from->path, reading.mistakes->count,
                         reading.mistakes->count == 1 ? "" : "s");
    }
    ss_mistakes_destroy(reading.mistakes);
    return status;
}

enum ss_status ss_document_read(const struct ss_schema *schema,
                                const struct ss_document_source *from, FILE *mistakes, void *base,
                                enum ss_status (*finish)(struct ss_reading *))
{
    struct ss_document_source read = {.path = from->path};
    char *text = NULL, *folder = NULL;
    enum ss_status status;

    if (from->text != NULL)
        return read_text(schema, from, mistakes, base, finish);
    status = read_file(from->path, &text, &read.bytes);
    if (status == SS_OK)
        status = folder_of(from->path, &folder);
    read.text = text;
    read.folder = folder;
    if (status == SS_OK)
        status = read_text(schema, &read, mistakes, base, finish);
    free(folder);
    ss_free(text);
    return status;
}
