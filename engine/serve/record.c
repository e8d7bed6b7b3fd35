#include "engine/serve/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "engine/base/log.h"
#include "engine/base/memory.h"

struct ss_record {
    FILE *file;
    char *path;
    int error; /* of the first write that failed; errno */
};

static void put(struct ss_record *record, const void *data, size_t bytes)
{
    if (fwrite(data, 1, bytes, record->file) == bytes || record->error)
        return;
    record->error = errno;
    SS_ERROR("record: %s is not whole from here on: %s", record->path, strerror(record->error));
}

enum ss_status ss_record_create(const char *path, struct ss_record **out)
{
    struct ss_record *record;
    enum ss_status status = ss_alloc(&record, 1, sizeof *record, "record");
    if (status)
        return status;
    status = ss_strdup(&record->path, path);
    if (!status) {
        record->file = fopen(path, "wbe");
        if (!record->file)
            status = ss_fail_errno(SS_IO, errno, "record: %s cannot be written", path);
    }
    if (status) {
        ss_free(record->path);
        ss_free(record);
        return status;
    }
    *out = record;
    return SS_OK;
}

void ss_record_entry(struct ss_record *record, const void *message, size_t bytes)
{
    uint32_t length = (uint32_t)bytes;
    put(record, &length, sizeof length);
    put(record, message, bytes);
}

void ss_record_logits(struct ss_record *record, uint64_t number, uint64_t hash)
{
    uint64_t pair[2] = {number, hash};
    put(record, pair, sizeof pair);
}

uint64_t ss_record_hash(const float *logits, uint32_t count, uint32_t vocab)
{
    return XXH64(logits, (size_t)count * vocab * sizeof *logits, 0);
}

enum ss_status ss_record_close(struct ss_record *record)
{
    enum ss_status status = SS_OK;
    if (!record)
        return SS_OK;
    int error = record->error;
    if (fclose(record->file) && !error)
        error = errno;
    if (error)
        status = ss_fail_errno(SS_IO, error, "record: %s is not whole", record->path);
    ss_free(record->path);
    ss_free(record);
    return status;
}

enum ss_status ss_record_logits_path(const char *path, char *out, size_t bytes_max)
{
    int length = snprintf(out, bytes_max, "%s.logits", path);
    if (length < 0 || (size_t)length >= bytes_max)
        return ss_fail(SS_INVALID, "record: the path %s is too long", path);
    return SS_OK;
}
