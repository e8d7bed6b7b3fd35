#include <string.h>

#include "engine/base/memory.h"
#include "pipeline/models/model.h"

/* Cost of the layers [begin, end) as one stage: bytes to load plus bytes that a decode step reads.
 * An embedding is loaded but hardly read. */
static uint64_t stage_cost(const struct ss_shape *shape, const uint64_t bytes[3], uint32_t begin,
                           uint32_t end)
{
    uint64_t cost = 2 * bytes[1] * (end - begin);
    if (begin == 0)
        cost += bytes[0];
    if (end == shape->layers)
        cost += 2 * bytes[2];
    return cost;
}

static void measure(const struct ss_shape *shape, int tp, bool tied_here, uint64_t bytes[3])
{
    struct ss_cut cut = {.tp = tp};
    struct ss_chunk chunks[3] = {{0}};
    struct ss_image image = {.chunk_count = 3, .chunks = chunks};
    shape->family->describe_embedding(shape, cut, &chunks[0]);
    shape->family->describe_layer(shape, cut, 0, &chunks[1]);
    shape->family->describe_head(shape, cut, tied_here, &chunks[2]);
    ss_image_lay_out(&image);
    for (int i = 0; i < 3; i++)
        bytes[i] = chunks[i].bytes;
}

static enum ss_status check(const struct ss_shape *shape, int tp, int pp)
{
    const struct {
        const char *what;
        uint32_t count;
    } cuts[] = {{"attention heads", shape->heads},
                {"key-value heads", shape->kv_heads},
                {"ffn columns", shape->ffn}};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++)
        if (cuts[i].count % (uint32_t)tp)
            return ss_fail(SS_INVALID, "tp %d does not divide its %u %s", tp, cuts[i].count,
                           cuts[i].what);
    if (shape->layers < (uint32_t)pp)
        return ss_fail(SS_INVALID, "its %u layers cannot be cut into pp %d stages", shape->layers,
                       pp);
    return SS_OK;
}

enum ss_status ss_partition_make(const struct ss_shape *shape, int tp, int pp,
                                 struct ss_partition *out)
{
    enum ss_status status = check(shape, tp, pp);
    if (status)
        return status;
    struct ss_partition made = {.tp = tp, .pp = pp};
    uint64_t bytes[3];
    uint32_t layers = shape->layers, width = layers + 1;
    measure(shape, tp, shape->tied && pp == 1, bytes);
    /* best[s][l]: least possible cost of the dearest stage when stages 0..s hold layers [0, l). */
    uint64_t *best = 0;
    uint32_t *from = 0;
    status = ss_alloc(&best, (size_t)pp * width, sizeof *best, "partition");
    if (!status)
        status = ss_alloc(&from, (size_t)pp * width, sizeof *from, "partition");
    if (status)
        goto done;
    for (uint32_t end = 1; end <= layers; end++)
        best[end] = stage_cost(shape, bytes, 0, end);
    for (int s = 1; s < pp; s++) {
        for (uint32_t end = (uint32_t)s + 1; end <= layers; end++) {
            uint64_t *cell = &best[(size_t)s * width + end];
            *cell = UINT64_MAX;
            for (uint32_t begin = (uint32_t)s; begin < end; begin++) {
                uint64_t cost = stage_cost(shape, bytes, begin, end);
                uint64_t before = best[(size_t)(s - 1) * width + begin];
                uint64_t dearest = cost > before ? cost : before;
                if (dearest < *cell) {
                    *cell = dearest;
                    from[(size_t)s * width + end] = begin;
                }
            }
        }
    }
    made.first_layer[pp] = layers;
    for (int s = pp - 1; s > 0; s--)
        made.first_layer[s] = from[(size_t)s * width + made.first_layer[s + 1]];
    *out = made;
done:
    ss_free(best);
    ss_free(from);
    return status;
}

enum ss_status ss_partition_image(const struct ss_partition *partition,
                                  const struct ss_shape *shape, int stage, int tp_rank,
                                  struct ss_image *out)
{
    struct ss_cut cut = {.tp = partition->tp, .tp_rank = tp_rank};
    uint32_t begin = partition->first_layer[stage], end = partition->first_layer[stage + 1];
    bool first = stage == 0, last = stage == partition->pp - 1;
    struct ss_image image = {.chunk_count = (int)(end - begin) + first + last};
    enum ss_status status =
        ss_alloc(&image.chunks, (size_t)image.chunk_count, sizeof *image.chunks, "image");
    if (status)
        return status;
    struct ss_chunk *chunk = image.chunks;
    if (first) {
        *chunk = (struct ss_chunk){.kind = SS_CHUNK_EMBEDDING, .layer = -1};
        shape->family->describe_embedding(shape, cut, chunk++);
    }
    for (uint32_t layer = begin; layer < end; layer++) {
        *chunk = (struct ss_chunk){.kind = SS_CHUNK_LAYER, .layer = (int)layer};
        shape->family->describe_layer(shape, cut, (int)layer, chunk++);
    }
    if (last) {
        *chunk = (struct ss_chunk){.kind = SS_CHUNK_HEAD, .layer = -1};
        shape->family->describe_head(shape, cut, shape->tied && first, chunk);
    }
    ss_image_lay_out(&image);
    *out = image;
    return SS_OK;
}

uint64_t ss_kv_bytes_per_token_layer(const struct ss_shape *shape, int tp, size_t bytes_each)
{
    return 2ull * (shape->kv_heads / (uint32_t)tp) * shape->head_dim * bytes_each;
}
