#include "engine/serve/node.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/memory.h"
#include "engine/serve/beside.h"
#include "engine/serve/progress.h"
#include "pipeline/link/agree.h"
#include "swap/arena.h"
#include "swap/device/device.h"
#include "swap/fill.h"
#include "swap/threads.h"

#define FD_TIMEOUT_MS   10000
#define TRACE_SPANS_MAX (1u << 18)
#define SLOW_RESERVE_NS (5 * SS_NS_PER_S)
#define RESERVE_BYTES   ((size_t)1 << 30) /* a step of its progress; a multiple of huge pages */
/* Longer than a step or a piece of a load takes on any machine that serves. */
#define STANDSTILL_NS_MAX (30 * SS_NS_PER_S)
#define STANDSTILL_NS_MIN (1 * SS_NS_PER_S)
#define RANKS_MAX         (SS_STAGES_MAX * SS_TP_MAX)

/* Where this rank's part of its node's arena begins, and the arena's whole size. */
static void place_shards(const struct ss_node *node, size_t *offset, size_t *total, int *leader,
                         int *followers)
{
    struct ss_link *link = node->link;
    *total = *offset = 0;
    *leader = -1;
    *followers = -1;
    for (int rank = 0; rank < link->ranks; rank++) {
        if (rank != link->rank && !link->table->same_node(link, rank))
            continue;
        size_t bytes = ss_catalog_arena_bytes(node->catalog, rank / node->catalog->tp);
        bytes = (bytes + SS_ARENA_ALIGN - 1) / SS_ARENA_ALIGN * SS_ARENA_ALIGN;
        if (rank < link->rank)
            *offset += bytes;
        *total += bytes;
        *leader = *leader < 0 ? rank : *leader;
        ++*followers;
    }
}

static enum ss_status share_arena(struct ss_node *node, size_t total, int leader, int followers)
{
    struct ss_link *link = node->link;
    char name[128];
    /* The leader's process id keeps the names of two jobs apart. */
    int64_t mine = getpid(), pids[RANKS_MAX];
    enum ss_status status = link->table->all_gather(link, &mine, sizeof mine, pids);
    if (status)
        return status;
    snprintf(name, sizeof name, "swapserve-%" PRId64 "-%d", pids[leader], leader);
    if (link->rank == leader) {
        status = ss_arena_create(total, node->catalog->config->arena.limit_bytes, &node->arena);
    }
    status = ss_agree(link, status);
    if (status || followers == 0)
        return status;
    int fd = -1;
    uint64_t peer_ms = node->catalog->config->limits.peer_timeout_ns / SS_NS_PER_MS;
    int timeout_ms = peer_ms < FD_TIMEOUT_MS ? (int)peer_ms : FD_TIMEOUT_MS;
    if (link->rank == leader) {
        status = ss_arena_send_fd(ss_arena_fd(node->arena), name, followers, timeout_ms);
    } else {
        status = ss_arena_receive_fd(name, timeout_ms, &fd);
        if (!status)
            status = ss_arena_attach(fd, total, &node->arena);
    }
    return ss_agree(link, status);
}

static enum ss_status open_arena(struct ss_node *node)
{
    size_t offset, total;
    int leader, followers;
    place_shards(node, &offset, &total, &leader, &followers);
    enum ss_status status = share_arena(node, total, leader, followers);
    if (status)
        return status;
    node->shard_bytes = ss_catalog_arena_bytes(node->catalog, node->stage);
    node->shards_offset = offset;
    node->shards = ss_arena_at(node->arena, offset);
    node->threads = ss_threads_share(followers + 1);
    return SS_OK;
}

static enum ss_status reserve_shards(void *user)
{
    struct ss_node *node = user;
    struct ss_progress progress;
    uint64_t begun_ns = ss_now_ns();
    enum ss_status status = SS_OK;
    ss_progress_begin(&progress, "reserving host memory", node->shard_bytes, node->link->rank == 0);
    for (size_t done = 0; done < node->shard_bytes && !status; done += RESERVE_BYTES) {
        size_t left = node->shard_bytes - done, bytes = left < RESERVE_BYTES ? left : RESERVE_BYTES;
        status = ss_arena_reserve(node->arena, node->shards_offset + done, bytes, node->threads);
        ss_progress_add(&progress, bytes);
    }
    ss_progress_end(&progress);
    if (!status && node->link->rank == 0 && ss_now_ns() - begun_ns > SLOW_RESERVE_NS)
        SS_INFO("where huge pages are allowed (swap/README.md) that is several times as fast");
    return status;
}

static enum ss_status fill_model(struct ss_node *node, int index, struct ss_progress *progress)
{
    const struct ss_catalog_model *model = &node->catalog->models[index];
    void *base = node->shards + node->catalog->models[index].arena_offset[node->stage];
    struct ss_checkpoint *checkpoint;
    if (model->config->synthetic)
        return ss_image_fill_random(&node->images[index], model->config->seed, 0.02f, base,
                                    node->threads, ss_progress_add, progress);
    enum ss_status status = ss_checkpoint_open(model->config->path, &checkpoint);
    if (status)
        return status;
    status = ss_image_fill(&node->images[index], checkpoint, base, node->threads, ss_progress_add,
                           progress);
    ss_checkpoint_close(checkpoint);
    return status;
}

static enum ss_status fill_shards(struct ss_node *node)
{
    struct ss_progress progress;
    enum ss_status status = SS_OK;
    /* Ranks fill alike: the first one's progress stands for all. */
    ss_progress_begin(&progress, "filling the host arena", node->catalog->shards_bytes[node->stage],
                      node->link->rank == 0);
    for (int i = 0; i < node->catalog->model_count && !status; i++) {
        status = fill_model(node, i, &progress);
        if (status)
            status = ss_status_context(status, "model %s", node->catalog->models[i].config->name);
    }
    ss_progress_end(&progress);
    return ss_agree(node->link, status);
}

/* Where everything of this rank's models lies. */
static enum ss_status lay_out_models(struct ss_node *node)
{
    size_t count = (size_t)node->catalog->model_count;
    enum ss_status status = ss_alloc(&node->images, count, sizeof *node->images, "images");
    if (!status)
        status = ss_alloc(&node->models, count, sizeof *node->models, "models");
    for (int i = 0; i < node->catalog->model_count && !status; i++) {
        const struct ss_catalog_model *model = &node->catalog->models[i];
        status = ss_partition_image(&model->partition, &model->shape, node->stage, node->tp_rank,
                                    &node->images[i]);
        if (status)
            status = ss_status_context(status, "model %s", model->config->name);
        node->models[i] = (struct ss_stage_model){
            .name = model->config->name,
            .shape = &model->shape,
            .image = &node->images[i],
            .base = node->shards + node->catalog->models[i].arena_offset[node->stage],
            .context_max = model->context_max,
        };
    }
    return ss_agree(node->link, status);
}

static void on_report(void *user, const struct ss_report *report)
{
    struct ss_node *node = user;
    if (node->hooks.on_report)
        node->hooks.on_report(node->hooks.user, report);
    else
        ss_rank_post_report(&node->reporter, report);
}

static void on_logits(void *user, uint64_t number, uint32_t count, uint32_t vocab,
                      const float *logits)
{
    struct ss_node *node = user;
    node->hooks.on_logits(node->hooks.user, number, count, vocab, logits);
}

/* The thread that would tell the others, or answer for them, is the one that stands. */
static void on_stuck(void *user, uint64_t number)
{
    (void)user;
    SS_ERROR("entry %" PRIu64 " has not been queued within limits.peer_timeout, and nothing moves: "
             "this rank ends",
             number);
    _exit(EXIT_FAILURE);
}

/* Said well before the rank, or the group, is given up. */
static uint64_t standstill_ns(uint64_t peer_timeout_ns)
{
    uint64_t part_ns = peer_timeout_ns / 4;
    part_ns = part_ns > STANDSTILL_NS_MIN ? part_ns : STANDSTILL_NS_MIN;
    return part_ns < STANDSTILL_NS_MAX ? part_ns : STANDSTILL_NS_MAX;
}

static struct ss_stage_options stage_options(struct ss_node *node)
{
    const struct ss_config *config = node->catalog->config;
    uint64_t spill = node->catalog->shards_bytes[node->stage];
    uint32_t batch_max = 1;
    for (int i = 0; i < node->catalog->model_count; i++)
        if (node->catalog->models[i].batch_max > batch_max)
            batch_max = node->catalog->models[i].batch_max;
    return (struct ss_stage_options){
        .device = node->device,
        .ops = node->ops,
        .comm = node->comm,
        .rank = node->link->rank,
        .limits = {.page_bytes = config->device.page_bytes,
                   .pool_bytes = config->device.pool_bytes / config->device.page_bytes *
                                 config->device.page_bytes,
                   .piece_bytes = config->device.piece_bytes,
                   .pieces_in_flight = config->device.pieces_in_flight,
                   .block_tokens = config->kv_block_tokens,
                   .slots_max = config->limits.slots_max,
                   .batch_max = batch_max,
                   .step_tokens_max = config->limits.step_tokens_max,
                   .batches_in_flight = ss_catalog_batches_in_flight(node->catalog),
                   .loads_in_flight = config->limits.loads_in_flight,
                   .message_bytes_max = ss_catalog_message_bytes_max(node->catalog)},
        .model_count = (uint32_t)node->catalog->model_count,
        .models = node->models,
        .spill = config->arena.spill_bytes ? node->shards + spill : 0,
        .spill_bytes = config->arena.spill_bytes,
        .report = on_report,
        .user = node,
        .on_logits = node->hooks.on_logits ? on_logits : 0,
        .standstill_ns = standstill_ns(config->limits.peer_timeout_ns),
        .stuck_ns = config->limits.peer_timeout_ns,
        .stuck = on_stuck,
        .graphs = config->device.graphs,
        .trace = node->trace,
    };
}

/* The largest tensor that tensor-parallel ranks add up: a step's rows of the residual stream. */
static size_t reduce_bytes_max(const struct ss_node *node, enum ss_dtype dtype)
{
    uint64_t wide = 0;
    for (int i = 0; i < node->catalog->model_count; i++) {
        const struct ss_shape *shape = &node->catalog->models[i].shape;
        uint64_t columns = shape->hidden > shape->embedding ? shape->hidden : shape->embedding;
        wide = columns > wide ? columns : wide;
    }
    return wide * node->catalog->config->limits.step_tokens_max * ss_dtype_bytes(dtype);
}

static enum ss_status open_comm(struct ss_node *node)
{
    const struct ss_config *config = node->catalog->config;
    return ss_comm_create(node->link, node->device, node->catalog->tp, node->catalog->pp,
                          reduce_bytes_max(node, node->ops->table->sum_dtype),
                          config->limits.peer_timeout_ns, &node->comm);
}

/* What a stage would need besides the pool at most can be measured before there is a device: it
 * depends on shapes, limits and types alone. */
static uint64_t workspace_bytes(struct ss_node *node)
{
    struct ss_comm comm = {.tp = node->catalog->tp,
                           .tp_rank = node->tp_rank,
                           .pp = node->catalog->pp,
                           .stage = node->stage};
    struct ss_ops_table table = {.activation_dtype =
                                     node->catalog->activation_bytes == 4 ? SS_F32 : SS_F16,
                                 .sum_dtype = SS_F32};
    struct ss_ops ops = {.table = &table};
    struct ss_stage_options options = stage_options(node);
    options.comm = &comm;
    options.ops = &ops;
    return ss_stage_workspace_bytes(&options) +
           reduce_bytes_max(node, SS_F32) * (uint64_t)(node->catalog->tp + 1);
}

static enum ss_status open_device(struct ss_node *node)
{
    const struct ss_config *config = node->catalog->config;
    const struct ss_device_options device = {
        .kind = config->device.kind,
        .index = ss_link_place(node->link),
        .memory_bytes = config->device.pool_bytes + workspace_bytes(node),
        .link_bytes_per_s = config->device.link_bytes_per_s,
        .link_latency_ns = config->device.link_latency_ns,
    };
    const struct ss_ops_options ops = {
        .kind = config->device.compute,
        .invariant = config->deterministic,
        .profile = {.memory_bytes_per_s = config->device.profile.memory_bytes_per_s,
                    .flops_per_s = config->device.profile.flops_per_s,
                    .overhead_s = (double)config->device.profile.overhead_ns / 1e9}};
    enum ss_status status = ss_device_create(&device, &node->device);
    if (!status)
        status = ss_ops_create(node->device, &ops, &node->ops);
    if (!status && config->deterministic && !node->ops->table->batch_invariant)
        status = ss_fail(SS_UNSUPPORTED,
                         "deterministic: true is not supported with device.kind %s: its results "
                         "depend on the batch; set it to false",
                         config->device.kind);
    return ss_agree(node->link, status);
}

/* The device's start, and the comm's, take as long as reserving memory does: beside it. */
static enum ss_status open_beside_reserving(struct ss_node *node)
{
    struct ss_beside reserving;
    ss_beside_begin(&reserving, reserve_shards, node);
    enum ss_status status = open_device(node);
    if (!status)
        status = open_comm(node);
    return ss_agree(node->link, ss_beside_end(&reserving, status));
}

static enum ss_status open_stage(struct ss_node *node)
{
    enum ss_status status =
        node->device->ops->host_register(node->device, node->shards, node->shard_bytes);
    node->registered = !status;
    if (!status)
        status = ss_rank_reporter_open(&node->reporter, node->link,
                                       ss_catalog_message_bytes_max(node->catalog));
    if (!status) {
        struct ss_stage_options options = stage_options(node);
        status = ss_stage_create(&options, &node->executor);
    }
    /* Together, or one that has no memory left would let the others wait in their first sums. */
    status = ss_agree(node->link, status);
    return status ? status : ss_agree(node->link, ss_stage_warm_up(node->executor));
}

static enum ss_status trace_fail(const char *path)
{
    return ss_fail_errno(SS_IO, errno, "trace: %s cannot be written", path);
}

/* A file that cannot be written shows before the work that it is to show. */
static enum ss_status open_trace(struct ss_node *node)
{
    const char *path = node->catalog->config->trace;
    enum ss_status status = SS_OK;
    if (!path)
        return SS_OK;
    FILE *file = node->link->rank == 0 ? fopen(path, "we") : 0;
    if (file)
        fprintf(file, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n");
    if (node->link->rank == 0 && (!file || fclose(file)))
        status = trace_fail(path);
    if (!status)
        status = ss_trace_create(node->link->rank, TRACE_SPANS_MAX, &node->trace);
    return ss_agree(node->link, status);
}

/* What can fail early comes first: filling may take minutes. */
enum ss_status ss_node_open(const struct ss_catalog *catalog, struct ss_link *link,
                            const struct ss_node_hooks *hooks, struct ss_node *node)
{
    static enum ss_status (*const steps[])(struct ss_node *) = {
        open_trace, open_arena, lay_out_models, open_beside_reserving, open_stage, fill_shards};
    static const char *const names[] = {"trace", "arena",  "models", "memory, device and comm",
                                        "stage", "weights"};
    enum ss_status status = SS_OK;
    *node = (struct ss_node){.catalog = catalog,
                             .link = link,
                             .hooks = hooks ? *hooks : (struct ss_node_hooks){0},
                             .stage = link->rank / catalog->tp,
                             .tp_rank = link->rank % catalog->tp};
    for (size_t i = 0; i < sizeof steps / sizeof *steps && !status; i++) {
        uint64_t begun_ns = ss_now_ns();
        status = steps[i](node);
        SS_DEBUG("start: %s in %.2f s", names[i], (double)(ss_now_ns() - begun_ns) / 1e9);
    }
    if (status)
        ss_node_close(node);
    return status;
}

void ss_node_close(struct ss_node *node)
{
    ss_stage_destroy(node->executor);
    if (node->comm)
        node->comm->table->destroy(node->comm);
    if (node->ops)
        node->ops->table->destroy(node->ops);
    if (node->registered)
        node->device->ops->host_unregister(node->device, node->shards, node->shard_bytes);
    if (node->device)
        node->device->ops->destroy(node->device);
    for (int i = 0; node->images && i < node->catalog->model_count; i++)
        ss_image_release(&node->images[i]);
    ss_free(node->images);
    ss_free(node->models);
    ss_trace_destroy(node->trace);
    ss_rank_reporter_close(&node->reporter);
    if (node->arena)
        ss_arena_destroy(node->arena);
    *node = (struct ss_node){0};
}

static const char *model_name(void *user, int model)
{
    const struct ss_catalog *catalog = user;
    return model < catalog->model_count ? catalog->models[model].config->name : 0;
}

static enum ss_status append_trace(const struct ss_node *node, const char *path, bool last)
{
    FILE *file = fopen(path, "ae");
    if (!file)
        return trace_fail(path);
    ss_trace_write(node->trace, file, model_name, (void *)(uintptr_t)node->catalog);
    if (last)
        fprintf(file, "{\"ph\":\"M\",\"pid\":0,\"name\":\"end\"}\n]}\n");
    bool bad = ferror(file);
    return fclose(file) || bad ? trace_fail(path) : SS_OK;
}

enum ss_status ss_node_write_trace(struct ss_node *node, const char *path)
{
    struct ss_link *link = node->link;
    enum ss_status status = SS_OK;
    for (int rank = 0; rank < link->ranks && !status; rank++) {
        if (rank == link->rank)
            status = append_trace(node, path, rank == link->ranks - 1);
        status = ss_agree(link, status);
    }
    return status;
}
