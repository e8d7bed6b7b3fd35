#include "engine/serve/record.h"

#include <stdbool.h>
#include <stdio.h>
#include <xxhash.h>

#include "engine/base/memory.h"

struct ss_record {
    FILE *file;
    char *path;
};

enum ss_status ss_record_create(const char *path, struct ss_record **out)
{
    struct ss_record *record;
    enum ss_status status = ss_alloc(&record, 1, sizeof *record, "record");
    if (status)
        return status;
    status = ss_strdup(&record->path, path);
    if (!status) {
        record->file = fopen(path, "wbe");
        status = record->file ? SS_OK : ss_fail(SS_IO, "record: %s cannot be written", path);
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
    /* What fails is seen when it is closed. */
    (void)!fwrite(&length, sizeof length, 1, record->file);
    (void)!fwrite(message, 1, bytes, record->file);
}

void ss_record_logits(struct ss_record *record, uint64_t number, uint64_t hash)
{
    uint64_t pair[2] = {number, hash};
    (void)!fwrite(pair, sizeof pair, 1, record->file);
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
    bool bad = ferror(record->file);
    if (fclose(record->file) || bad)
        status = ss_fail(SS_IO, "record: %s cannot be written", record->path);
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
