#include "swap/fill_walk.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/memory.h"
#include "swap/threads.h"

#define PROGRESS_BYTES ((size_t)4 << 20)

struct ss_fill_shared {
    const struct ss_fill_way *way;
    const struct ss_image *image;
    unsigned char *base;
    ss_fill_progress *progress; /* may be null */
    void *user;
    pthread_mutex_t lock; /* for what follows, and for calling progress */
    size_t reported;
    int next; /* the chunk that nobody has yet */
    enum ss_status status;
    char message[SS_MESSAGE_BYTES];
};

static void report(struct ss_fill_shared *shared, size_t bytes)
{
    pthread_mutex_lock(&shared->lock);
    shared->reported += bytes;
    if (shared->progress)
        shared->progress(shared->user, bytes);
    pthread_mutex_unlock(&shared->lock);
}

static void reach(struct ss_fill_walk *walk, unsigned char *at, size_t step)
{
    size_t bytes = (size_t)(at - walk->reported);
    if (bytes < step)
        return;
    walk->reported = at;
    report(walk->shared, bytes);
}

void ss_fill_walk_reached(struct ss_fill_walk *walk, const void *at)
{
    reach(walk, (unsigned char *)(uintptr_t)at, PROGRESS_BYTES);
}

static enum ss_status walk_tensor(struct ss_fill_walk *walk, const struct ss_tensor *tensor,
                                  unsigned char *to, const unsigned char *end)
{
    for (int p = 0; p < tensor->part_count; p++) {
        const struct ss_tensor_part *part = &tensor->parts[p];
        size_t bytes = (size_t)part->row_count * part->column_count * ss_dtype_bytes(tensor->dtype);
        SS_ASSERT(bytes <= (size_t)(end - to));
        SS_ASSERT(part->row_begin <= part->source_rows &&
                  part->row_count <= part->source_rows - part->row_begin &&
                  part->column_begin <= part->source_columns &&
                  part->column_count <= part->source_columns - part->column_begin);
        enum ss_status status = bytes ? walk->way->part(walk, tensor, part, to) : SS_OK;
        if (status)
            return status;
        to += bytes;
        ss_fill_walk_reached(walk, to);
    }
    /* What no part covers, up to the next tensor. */
    memset(to, 0, (size_t)(end - to));
    return SS_OK;
}

static enum ss_status walk_chunk(struct ss_fill_walk *walk, const struct ss_chunk *chunk)
{
    unsigned char *base = walk->shared->base + chunk->offset;
    walk->reported = base;
    for (int t = 0; t < chunk->tensor_count; t++) {
        const struct ss_tensor *tensor = &chunk->tensors[t];
        size_t end = t + 1 < chunk->tensor_count ? tensor[1].offset : chunk->bytes;
        enum ss_status status = walk_tensor(walk, tensor, base + tensor->offset, base + end);
        if (status)
            return status;
    }
    reach(walk, base + chunk->bytes, 1);
    return SS_OK;
}

/* Messages belong to threads: the first failure's goes with the status. */
static void keep_failure(struct ss_fill_shared *shared, enum ss_status status)
{
    pthread_mutex_lock(&shared->lock);
    if (!shared->status) {
        shared->status = status;
        snprintf(shared->message, sizeof shared->message, "%s", ss_status_message());
    }
    pthread_mutex_unlock(&shared->lock);
}

/* The next chunk; null when there is none, or no sense in going on. */
static const struct ss_chunk *take_chunk(struct ss_fill_shared *shared)
{
    pthread_mutex_lock(&shared->lock);
    bool more = !shared->status && shared->next < shared->image->chunk_count;
    const struct ss_chunk *chunk = more ? &shared->image->chunks[shared->next++] : 0;
    pthread_mutex_unlock(&shared->lock);
    return chunk;
}

static void walk_chunks(void *user)
{
    struct ss_fill_shared *shared = user;
    struct ss_fill_walk walk = {.way = shared->way, .shared = shared};
    const struct ss_chunk *chunk;
    enum ss_status status = SS_OK;
    if (shared->way->buffer_bytes)
        status = ss_alloc(&walk.buffer, shared->way->buffer_bytes, 1, "fill buffer");
    while (!status && (chunk = take_chunk(shared)) != 0)
        status = walk_chunk(&walk, chunk);
    if (status)
        keep_failure(shared, status);
    ss_free(walk.buffer);
}

enum ss_status ss_fill_walk_run(const struct ss_fill_way *way, const struct ss_image *image,
                                void *base, int threads, ss_fill_progress *progress, void *user)
{
    struct ss_fill_shared shared = {
        .way = way, .image = image, .base = base, .progress = progress, .user = user};
    pthread_mutex_init(&shared.lock, 0);
    ss_threads_run(threads < image->chunk_count ? threads : image->chunk_count, walk_chunks,
                   &shared);
    /* What lies between chunks. */
    if (!shared.status && shared.reported < image->bytes)
        report(&shared, image->bytes - shared.reported);
    pthread_mutex_destroy(&shared.lock);
    return shared.status ? ss_fail(shared.status, "%s", shared.message) : SS_OK;
}
