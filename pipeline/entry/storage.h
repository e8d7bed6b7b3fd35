/* Room for the arrays of one decoded message: a bump allocator that never grows. Private to the
 * codec. */
#ifndef SS_ENTRY_STORAGE_H
#define SS_ENTRY_STORAGE_H

#include "engine/base/assert.h"
#include "pipeline/entry/entry.h"

struct ss_entry_storage {
    size_t message_bytes_max;
    size_t bytes_max, used;
    _Alignas(16) unsigned char bytes[];
};

/* Always succeeds: the storage was made for every message of message_bytes_max. */
static inline void *ss_storage_take(struct ss_entry_storage *storage, size_t count, size_t size)
{
    size_t at = (storage->used + 7) / 8 * 8;
    SS_ASSERT(size == 0 || count <= (storage->bytes_max - at) / size);
    storage->used = at + count * size;
    return storage->bytes + at;
}

#endif
