#include "swap/checkpoint/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/fault.h"
#include "engine/base/memory.h"
#include "swap/checkpoint/safetensors.h"

#define SINGLE          "model.safetensors"
#define INDEX           "model.safetensors.index.json"
#define INDEX_BYTES_MAX ((uint64_t)64 << 20)
#define SHARDS_MAX      4096
/* Linux reads at most 2 GiB at once. */
#define READ_BYTES_MAX ((size_t)1 << 30)

struct shard {
    char *name, *path;
    int fd;
    struct ss_safetensors *header;
};

struct entry {
    const struct ss_safetensors_tensor *tensor;
    const struct shard *shard;
};

struct ss_checkpoint {
    char *folder;
    int shard_count;
    struct shard *shards; /* room for SHARDS_MAX, so that entries may point into it */
    size_t entry_count;
    struct entry *entries; /* by tensor name */
};

static bool planted(void)
{
    bool fails = ss_fault(SS_FAULT_FILE);
    if (fails)
        errno = EIO;
    return fails;
}

/* Opens a regular file: a device or pipe might never end. */
static enum ss_status open_file(const char *path, int *out, uint64_t *bytes)
{
    struct stat file;
    int fd = planted() ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return ss_fail_errno(errno == ENOENT ? SS_NOT_FOUND : SS_IO, errno, "%s", path);
    if (fstat(fd, &file) || !S_ISREG(file.st_mode)) {
        close(fd);
        return ss_fail(SS_INVALID, "%s: not a regular file", path);
    }
    *out = fd;
    *bytes = (uint64_t)file.st_size;
    return SS_OK;
}

static enum ss_status read_exactly(int fd, const char *path, uint64_t offset, void *to,
                                   size_t bytes)
{
    char *at = to;
    while (bytes > 0) {
        size_t step = bytes < READ_BYTES_MAX ? bytes : READ_BYTES_MAX;
        ssize_t got = planted() ? -1 : pread(fd, at, step, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ss_fail_errno(SS_IO, errno, "%s: reading %zu bytes at %" PRIu64, path, step,
                                 offset);
        if (got == 0)
            return ss_fail(SS_IO, "%s: the file ends at %" PRIu64 ", %zu bytes more are needed",
                           path, offset, bytes);
        at += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return SS_OK;
}

static enum ss_status join(const char *folder, const char *name, char **out)
{
    char *path;
    size_t size = strlen(folder) + strlen(name) + 2;
    enum ss_status status = ss_alloc(&path, size, 1, "path");
    if (status)
        return status;
    snprintf(path, size, "%s/%s", folder, name);
    *out = path;
    return SS_OK;
}

static enum ss_status read_header(struct shard *shard, uint64_t file_bytes)
{
    unsigned char prefix[SS_SAFETENSORS_PREFIX_BYTES] = {0};
    uint64_t header_bytes;
    char *text;
    size_t readable = file_bytes < sizeof prefix ? 0 : sizeof prefix;
    enum ss_status status = read_exactly(shard->fd, shard->path, 0, prefix, readable);
    if (!status)
        status = ss_safetensors_length(shard->path, prefix, file_bytes, &header_bytes);
    if (!status)
        status = ss_alloc(&text, header_bytes, 1, "safetensors header");
    if (status)
        return status;
    status = read_exactly(shard->fd, shard->path, sizeof prefix, text, header_bytes);
    if (!status)
        status = ss_safetensors_open(shard->path, text, header_bytes, file_bytes, &shard->header);
    ss_free(text);
    return status;
}

/* What a failed call leaves in the new shard is released with the checkpoint. */
static enum ss_status open_shard(struct ss_checkpoint *checkpoint, const char *name,
                                 struct shard **out)
{
    uint64_t file_bytes;
    if (checkpoint->shard_count == SHARDS_MAX)
        return ss_fail(SS_INVALID, "%s/" INDEX ": names more than %d files", checkpoint->folder,
                       SHARDS_MAX);
    struct shard *shard = &checkpoint->shards[checkpoint->shard_count++];
    *shard = (struct shard){.fd = -1};
    enum ss_status status = ss_strdup(&shard->name, name);
    if (!status)
        status = join(checkpoint->folder, name, &shard->path);
    if (!status)
        status = open_file(shard->path, &shard->fd, &file_bytes);
    if (!status)
        status = read_header(shard, file_bytes);
    if (!status)
        *out = shard;
    return status;
}

/* Shards come in runs in an index, so the latest is looked at first. */
static struct shard *known_shard(struct ss_checkpoint *checkpoint, const char *name)
{
    for (int i = checkpoint->shard_count - 1; i >= 0; i--)
        if (strcmp(checkpoint->shards[i].name, name) == 0)
            return &checkpoint->shards[i];
    return 0;
}

static enum ss_status index_single(struct ss_checkpoint *checkpoint, const struct shard *shard)
{
    size_t count = shard->header->count;
    enum ss_status status =
        ss_alloc(&checkpoint->entries, count, sizeof *checkpoint->entries, "checkpoint");
    if (status)
        return status;
    for (size_t i = 0; i < count; i++)
        checkpoint->entries[i] = (struct entry){&shard->header->tensors[i], shard};
    checkpoint->entry_count = count;
    return SS_OK;
}

/* A file beside the index, and nothing else: an index may come from anywhere. */
static bool is_plain_name(const char *name)
{
    return name[0] && name[0] != '.' && !strchr(name, '/') && strlen(name) <= NAME_MAX;
}

static enum ss_status add_indexed(struct ss_checkpoint *checkpoint, const char *index,
                                  const char *tensor, const json_t *value)
{
    if (!json_is_string(value))
        return ss_fail(SS_INVALID, "%s: weight_map: %.200s does not name a file", index, tensor);
    const char *name = json_string_value(value);
    if (!is_plain_name(name))
        return ss_fail(SS_INVALID,
                       "%s: weight_map: %.200s: \"%.200s\" is not the plain name of a file in the "
                       "same folder",
                       index, tensor, name);
    struct shard *shard = known_shard(checkpoint, name);
    if (!shard) {
        enum ss_status status = open_shard(checkpoint, name, &shard);
        if (status)
            return ss_status_context(status, "%s: weight_map: %.200s", index, tensor);
    }
    const struct ss_safetensors_tensor *found = ss_safetensors_find(shard->header, tensor);
    if (!found)
        return ss_fail(SS_INVALID, "%s: weight_map: %.200s is not in %s", index, tensor, name);
    checkpoint->entries[checkpoint->entry_count++] = (struct entry){found, shard};
    return SS_OK;
}

static int by_name(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    return strcmp(a->tensor->name, b->tensor->name);
}

static enum ss_status add_all(struct ss_checkpoint *checkpoint, const char *index, json_t *root)
{
    const char *tensor;
    json_t *value, *map = json_object_get(root, "weight_map");
    if (!json_is_object(map))
        return ss_fail(SS_INVALID, "%s: has no object \"weight_map\"", index);
    enum ss_status status = ss_alloc(&checkpoint->entries, json_object_size(map),
                                     sizeof *checkpoint->entries, "checkpoint");
    if (status)
        return status;
    json_object_foreach(map, tensor, value)
    {
        status = add_indexed(checkpoint, index, tensor, value);
        if (status)
            return status;
    }
    qsort(checkpoint->entries, checkpoint->entry_count, sizeof *checkpoint->entries, by_name);
    return SS_OK;
}

static enum ss_status parse_index(const char *path, int fd, uint64_t bytes, json_t **out)
{
    json_error_t error;
    char *text;
    if (bytes > INDEX_BYTES_MAX)
        return ss_fail(SS_INVALID, "%s: %" PRIu64 " bytes, an index has at most %" PRIu64, path,
                       bytes, INDEX_BYTES_MAX);
    enum ss_status status = ss_alloc(&text, bytes, 1, "checkpoint index");
    if (status)
        return status;
    status = read_exactly(fd, path, 0, text, bytes);
    if (!status) {
        *out = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
        if (!*out)
            status =
                ss_fail(SS_INVALID, "%s:%d:%d: %s", path, error.line, error.column, error.text);
    }
    ss_free(text);
    return status;
}

static enum ss_status open_index(struct ss_checkpoint *checkpoint)
{
    char *path;
    int fd;
    uint64_t bytes;
    json_t *root = 0;
    enum ss_status status = join(checkpoint->folder, INDEX, &path);
    if (status)
        return status;
    status = open_file(path, &fd, &bytes);
    if (status == SS_NOT_FOUND)
        status =
            ss_fail(SS_NOT_FOUND, "%s: there is neither " SINGLE " nor " INDEX, checkpoint->folder);
    if (status)
        goto free_path;
    status = parse_index(path, fd, bytes, &root);
    close(fd);
    if (!status)
        status = add_all(checkpoint, path, root);
    json_decref(root);
free_path:
    ss_free(path);
    return status;
}

static enum ss_status open_files(struct ss_checkpoint *checkpoint)
{
    char *path;
    struct stat file;
    struct shard *shard;
    enum ss_status status = join(checkpoint->folder, SINGLE, &path);
    if (status)
        return status;
    bool single = stat(path, &file) == 0 || errno != ENOENT;
    ss_free(path);
    if (!single)
        return open_index(checkpoint);
    status = open_shard(checkpoint, SINGLE, &shard);
    return status ? status : index_single(checkpoint, shard);
}

enum ss_status ss_checkpoint_open(const char *folder, struct ss_checkpoint **out)
{
    struct ss_checkpoint *checkpoint;
    enum ss_status status = ss_alloc(&checkpoint, 1, sizeof *checkpoint, "checkpoint");
    if (status)
        return status;
    status = ss_strdup(&checkpoint->folder, folder);
    if (!status)
        status = ss_alloc(&checkpoint->shards, SHARDS_MAX, sizeof *checkpoint->shards,
                          "checkpoint files");
    if (!status)
        status = open_files(checkpoint);
    if (status) {
        ss_checkpoint_close(checkpoint);
        return status;
    }
    *out = checkpoint;
    return SS_OK;
}

void ss_checkpoint_close(struct ss_checkpoint *checkpoint)
{
    for (int i = 0; i < checkpoint->shard_count; i++) {
        struct shard *shard = &checkpoint->shards[i];
        if (shard->header)
            ss_safetensors_close(shard->header);
        if (shard->fd >= 0)
            close(shard->fd);
        ss_free(shard->path);
        ss_free(shard->name);
    }
    ss_free(checkpoint->entries);
    ss_free(checkpoint->shards);
    ss_free(checkpoint->folder);
    ss_free(checkpoint);
}

static bool find_dtype(const char *name, enum ss_dtype *dtype)
{
    static const enum ss_dtype all[] = {SS_F32, SS_F16, SS_BF16};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strcmp(name, ss_dtype_name(all[i])) != 0)
            continue;
        *dtype = all[i];
        return true;
    }
    return false;
}

enum ss_status ss_checkpoint_locate(const struct ss_checkpoint *checkpoint, const char *name,
                                    struct ss_checkpoint_tensor *tensor)
{
    struct ss_safetensors_tensor wanted = {.name = name};
    struct entry key = {.tensor = &wanted};
    const struct entry *entry = 0;
    enum ss_dtype dtype;
    if (checkpoint->entry_count)
        entry = bsearch(&key, checkpoint->entries, checkpoint->entry_count, sizeof key, by_name);
    if (!entry)
        return ss_fail(SS_NOT_FOUND, "%s: there is no tensor %s", checkpoint->folder, name);
    const struct ss_safetensors_tensor *found = entry->tensor;
    if (!find_dtype(found->dtype, &dtype))
        return ss_fail(SS_UNSUPPORTED,
                       "%s: tensor %s has dtype %s; F32, F16 and BF16 can be served",
                       entry->shard->path, name, found->dtype);
    uint64_t rows = found->shape_count == 2 ? found->shape[0] : 1;
    uint64_t columns = found->shape_count ? found->shape[found->shape_count - 1] : 1;
    if (found->shape_count > 2 || rows > UINT32_MAX || columns > UINT32_MAX)
        return ss_fail(SS_UNSUPPORTED,
                       "%s: tensor %s has %d dimensions, the last of %" PRIu64
                       "; weights have one or two, of less than 2^32",
                       entry->shard->path, name, found->shape_count, columns);
    *tensor = (struct ss_checkpoint_tensor){
        .dtype = dtype,
        .rows = (uint32_t)rows,
        .columns = (uint32_t)columns,
        .path = entry->shard->path,
        .fd = entry->shard->fd,
        .begin = found->begin,
    };
    return SS_OK;
}

enum ss_status ss_checkpoint_find(const struct ss_checkpoint *checkpoint, const char *name,
                                  enum ss_dtype *dtype, uint32_t *rows, uint32_t *columns)
{
    struct ss_checkpoint_tensor tensor;
    enum ss_status status = ss_checkpoint_locate(checkpoint, name, &tensor);
    if (status)
        return status;
    *dtype = tensor.dtype;
    *rows = tensor.rows;
    *columns = tensor.columns;
    return SS_OK;
}

enum ss_status ss_checkpoint_read(const struct ss_checkpoint_tensor *tensor, uint64_t offset,
                                  void *to, size_t bytes)
{
    return read_exactly(tensor->fd, tensor->path, tensor->begin + offset, to, bytes);
}
