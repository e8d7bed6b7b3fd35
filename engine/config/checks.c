#include "engine/config/checks.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/config/quote.h"

#define KI ((size_t)1 << 10)
#define MI ((size_t)1 << 20)
#define GI ((size_t)1 << 30)

#define SLOTS_DEFAULT_MAX 1024

static const struct ss_seen *seen(const struct ss_reading *r, const char *path)
{
    int index = ss_key_find(r->schema, path);

    SS_ASSERT(index >= 0);
    return &r->seen[index];
}

static bool is_set(const struct ss_reading *r, const char *path)
{
    return seen(r, path)->node != NULL;
}

/* True when PATH has a value to reason with: its default, or one that was not noted as wrong. */
static bool is_good(const struct ss_reading *r, const char *path)
{
    const struct ss_key *key = &r->schema->keys[ss_key_find(r->schema, path)];

    if (seen(r, path)->wrong)
        return false;
    return is_set(r, path) || !ss_key_required(key);
}

__attribute__((format(printf, 3, 4))) static void note(struct ss_reading *r, const char *path,
                                                       const char *format, ...)
{
    const struct ss_yaml_node *node = seen(r, path)->node;
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ss_mistakes_add(r->mistakes, node != NULL ? node->line : 1, node != NULL ? node->column : 1,
                    path, "%s", text);
}

static bool is_cuda(const struct ss_config *config)
{
    return config->device.kind != NULL && strcmp(config->device.kind, "cuda") == 0;
}

void ss_fill_defaults(struct ss_reading *r)
{
    struct ss_config *config = r->base;
    bool cuda = is_cuda(config);

    if (config->device.page_bytes == 0)
        config->device.page_bytes = cuda ? 2 * MI : 64 * KI;
    if (config->device.piece_bytes == 0)
        config->device.piece_bytes = cuda ? 16 * MI : MI;
    if (!is_set(r, "arena.spill"))
        config->arena.spill_bytes = cuda ? GI : 64 * MI;
    if (config->limits.batches_in_flight == 0)
        config->limits.batches_in_flight = (uint32_t)config->group.pp + 1;
    if (!is_set(r, "device.graphs"))
        config->device.graphs = cuda && config->group.tp == 1;
    if (!is_set(r, "deterministic"))
        config->deterministic = !cuda;
    if (config->limits.slots_max == 0)
        config->limits.slots_max = config->limits.requests_max < SLOTS_DEFAULT_MAX
                                       ? config->limits.requests_max
                                       : SLOTS_DEFAULT_MAX;
    if (config->limits.batch_max == 0) {
        config->limits.batch_max = 32;
        if (config->limits.batch_max > config->limits.slots_max)
            config->limits.batch_max = config->limits.slots_max;
        if (config->limits.batch_max > config->limits.step_tokens_max)
            config->limits.batch_max = config->limits.step_tokens_max;
    }
}

static void check_cpu_only(struct ss_reading *r)
{
    static const char *const paths[] = {
        "device.link.bandwidth",           "device.link.latency",  "device.compute",
        "device.profile.memory_bandwidth", "device.profile.flops", "device.profile.overhead",
    };

    if (!is_cuda(r->base))
        return;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (is_set(r, paths[i]))
            note(r, paths[i], "found beside kind: cuda, expected only beside kind: cpu");
}

static void check_profile(struct ss_reading *r)
{
    static const char *const paths[] = {"device.profile.memory_bandwidth", "device.profile.flops"};
    static const char *const examples[] = {"3TB/s", "700TFLOP/s"};

    const struct ss_config *config = r->base;

    if (is_cuda(config) || !is_good(r, "device.compute") ||
        strcmp(config->device.compute, "paced") != 0 || ss_yaml_cut(r->yaml))
        return;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (!is_set(r, paths[i]))
            note(r, "device.compute", "found paced without %s, expected that too, such as %s",
                 paths[i], examples[i]);
}

static void check_memory(struct ss_reading *r)
{
    const struct ss_config *config = r->base;
    char page[32], piece[32], pool[32];
    size_t page_bytes = config->device.page_bytes;

    ss_units_format(SS_QUANTITY_SIZE, page_bytes, page, sizeof page);
    ss_units_format(SS_QUANTITY_SIZE, config->device.piece_bytes, piece, sizeof piece);
    ss_units_format(SS_QUANTITY_SIZE, config->device.pool_bytes, pool, sizeof pool);
    if (is_good(r, "device.page") && (page_bytes & (page_bytes - 1)) != 0)
        note(r, "device.page", "found %s, expected a power of two of bytes", page);
    if (is_good(r, "device.piece") && config->device.piece_bytes % 256 != 0)
        note(r, "device.piece", "found %s, expected a multiple of 256B", piece);
    if (is_good(r, "device.pool") && is_good(r, "device.page") &&
        config->device.pool_bytes < page_bytes)
        note(r, "device.pool", "found %s, expected one page (%s) at least", pool, page);
    /* The controller numbers pages with 32 bits. */
    if (is_good(r, "device.pool") && is_good(r, "device.page") &&
        config->device.pool_bytes / page_bytes > UINT32_MAX)
        note(r, "device.page",
             "found %s, which cuts the pool of %s into over %u pages, expected "
             "larger pages",
             page, pool, UINT32_MAX);
}

/* Notes a value LEFT of PATH that is over RIGHT, the value of OTHER; at whichever the file has. */
static void check_at_most(struct ss_reading *r, const char *path, uint32_t left, const char *other,
                          uint32_t right)
{
    if (!is_good(r, path) || !is_good(r, other) || left <= right)
        return;
    if (is_set(r, path))
        note(r, path, "found %u, expected %s (%u) at most", left, other, right);
    else
        note(r, other, "found %u, expected %s (%u) at least", right, path, left);
}

static void check_limits(struct ss_reading *r)
{
    const struct ss_config *config = r->base;

    check_at_most(r, "limits.batch", config->limits.batch_max, "limits.slots",
                  config->limits.slots_max);
    check_at_most(r, "limits.batch", config->limits.batch_max, "limits.step_tokens",
                  config->limits.step_tokens_max);
    check_at_most(r, "limits.queue_per_model", config->limits.queue_max_per_model,
                  "limits.requests", config->limits.requests_max);
}

static void check_file(struct ss_reading *r, const char *path, const char *file)
{
    struct stat info;
    char found[SS_QUOTE_BYTES * 3];

    if (file == NULL || !is_good(r, path))
        return;
    ss_quote(file, found, sizeof found);
    if (stat(file, &info) != 0)
        note(r, path, "found %s, which does not exist or cannot be reached, expected a file",
             found);
    else if (!S_ISREG(info.st_mode))
        note(r, path, "found %s, which is not a file, expected one", found);
    else if (access(file, R_OK) != 0)
        note(r, path, "found %s, which this user may not read, expected a readable file", found);
}

static void check_curve(struct ss_reading *r)
{
    const struct ss_config *config = r->base;
    static const char secret[] = "server.curve.secret_key_file";
    static const char clients[] = "server.curve.client_keys_file";

    if (is_set(r, secret) && !is_set(r, clients) && !ss_yaml_cut(r->yaml))
        note(r, secret, "found without %s, expected both: no client would be let in", clients);
    if (is_set(r, clients) && !is_set(r, secret) && !ss_yaml_cut(r->yaml))
        note(r, clients, "found without %s, expected both: nothing would be encrypted", secret);
    check_file(r, secret, config->server.curve_secret_key_file);
    check_file(r, clients, config->server.curve_client_keys_file);
}

static void check_endpoints(struct ss_reading *r)
{
    const struct ss_config *config = r->base;

    char *const *endpoints = config->server.endpoints.items;

    for (uint64_t i = 0; i < config->server.endpoints.count; i++) {
        for (uint64_t j = 0; j < i; j++) {
            char found[SS_QUOTE_BYTES];

            if (strcmp(endpoints[i], endpoints[j]) == 0)
                note(r, "server.endpoints", "found %s twice, expected it once",
                     ss_quote(endpoints[i], found, sizeof found));
        }
    }
}

static void check_trace(struct ss_reading *r)
{
    const char *trace = ((const struct ss_config *)r->base)->trace, *slash;
    char folder[4096], found[SS_QUOTE_BYTES * 3];
    struct stat info;

    if (trace == NULL || !is_good(r, "trace"))
        return;
    slash = strrchr(trace, '/');
    snprintf(folder, sizeof folder, "%.*s", slash > trace ? (int)(slash - trace) : 1, trace);
    if (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode))
        note(r, "trace", "found %s, whose folder does not exist, expected a file in one that does",
             ss_quote(trace, found, sizeof found));
    else if (stat(trace, &info) == 0 && S_ISDIR(info.st_mode))
        note(r, "trace", "found %s, which is a folder, expected a file",
             ss_quote(trace, found, sizeof found));
}

void ss_check(struct ss_reading *r)
{
    check_cpu_only(r);
    check_profile(r);
    check_memory(r);
    check_limits(r);
    check_endpoints(r);
    check_curve(r);
    check_trace(r);
    check_file(r, "profile", ((const struct ss_config *)r->base)->profile);
}
