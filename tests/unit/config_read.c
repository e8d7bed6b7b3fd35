#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/fault.h"
#include "engine/config/config.h"
#include "engine/config/read_text.h"
#include "engine/config/yaml.h"

#define MINIMAL "device: {kind: cpu, pool: 8MiB}\nmodels: [{name: m, synthetic: opt-125m}]\n"

/* Reads TEXT; *SAID is what was written about it, freed by the caller. */
static enum ss_status read_text(const char *text, size_t bytes, struct ss_config **config,
                                char **said)
{
    size_t said_bytes = 0;
    FILE *stream = open_memstream(said, &said_bytes);
    enum ss_status status =
        ss_config_read_text("t.yaml", "/nonexistent", text, bytes, stream, config);

    fclose(stream);
    return status;
}

static struct ss_config *accept(const char *text)
{
    struct ss_config *config = NULL;
    char *said = NULL;
    enum ss_status status = read_text(text, strlen(text), &config, &said);

    cr_assert_eq(status, SS_OK, "%s", said);
    cr_assert_str_empty(said);
    free(said);
    return config;
}

/* True when some line of SAID starts with LINE. */
static bool has_line(const char *said, const char *line)
{
    while (said != NULL && strncmp(said, line, strlen(line)) != 0) {
        said = strchr(said, '\n');
        said += said != NULL;
    }
    return said != NULL;
}

/* TEXT is refused, and a line of what is said starts with LINE. */
static void refuse_bytes(const char *text, size_t bytes, const char *line)
{
    struct ss_config *config = (void *)1;
    char *said = NULL;
    enum ss_status status = read_text(text, bytes, &config, &said);

    cr_assert_eq(status, SS_INVALID);
    cr_assert_eq(config, (void *)1, "an out-parameter was set on failure");
    cr_assert(has_line(said, line), "said: %s\nwanted: %s", said, line);
    free(said);
}

static void refuse(const char *text, const char *line)
{
    refuse_bytes(text, strlen(text), line);
}

Test(config_read, defaults)
{
    struct ss_config *config = accept(MINIMAL);

    cr_assert_eq(config->group.tp, 1);
    cr_assert_eq(config->group.pp, 1);
    cr_assert_eq(config->device.pool_bytes, 8u << 20);
    cr_assert_eq(config->device.page_bytes, 64u << 10);
    cr_assert_eq(config->device.piece_bytes, 1u << 20);
    cr_assert_eq(config->device.pieces_in_flight, 2);
    cr_assert_eq(config->device.profile.overhead_ns, 5000);
    cr_assert_str_eq(config->device.compute, "real");
    cr_assert_eq(config->arena.spill_bytes, 64u << 20);
    cr_assert_eq(config->server.endpoints.count, 1);
    cr_assert_str_eq(config->server.endpoints.items[0], "tcp://127.0.0.1:5555");
    cr_assert_null(config->server.curve_secret_key_file);
    cr_assert_eq(config->limits.requests_max, 1000);
    cr_assert_eq(config->limits.slots_max, 1000, "so that the bound on waits tells something");
    cr_assert_eq(config->limits.batch_max, 32);
    cr_assert_eq(config->limits.batches_in_flight, 2);
    cr_assert_eq(config->limits.peer_timeout_ns, 600000000000ull);
    cr_assert(config->deterministic);
    cr_assert_not(config->device.graphs);
    cr_assert_null(config->trace);
    cr_assert_str_eq(config->policy, "swap_aware");
    cr_assert_str_eq(config->models[0].dtype, "f16");
    cr_assert_eq(config->models[0].scale, 1.0);
    cr_assert_not(config->models[0].pin);
    ss_config_destroy(config);
}

Test(config_read, defaults_that_depend)
{
    struct ss_config *config = accept("device: {kind: cuda, pool: 8GiB}\ngroup: {pp: 4}\n"
                                      "limits: {slots: 8}\n"
                                      "models: [{name: m, synthetic: opt-13b}]\n");

    cr_assert_eq(config->device.page_bytes, 2u << 20);
    cr_assert_eq(config->device.piece_bytes, 16u << 20);
    cr_assert_eq(config->arena.spill_bytes, 1u << 30);
    cr_assert_eq(config->limits.batches_in_flight, 5);
    cr_assert_eq(config->limits.batch_max, 8);
    cr_assert_not(config->deterministic);
    cr_assert(config->device.graphs);
    ss_config_destroy(config);
    config = accept("device: {kind: cuda, pool: 8GiB}\ngroup: {tp: 2}\n"
                    "models: [{name: m, synthetic: opt-13b}]\n");
    cr_assert_not(config->device.graphs);
    ss_config_destroy(config);
}

Test(config_read, as_many_slots_as_requests_up_to_a_limit)
{
    struct ss_config *config = accept("device: {kind: cpu, pool: 8MiB}\n"
                                      "limits: {requests: 5}\n"
                                      "models: [{name: m, synthetic: opt-125m}]\n");
    cr_assert_eq(config->limits.slots_max, 5);
    cr_assert_eq(config->limits.batch_max, 5);
    ss_config_destroy(config);
    config = accept("device: {kind: cpu, pool: 8MiB}\n"
                    "limits: {requests: 100000}\n"
                    "models: [{name: m, synthetic: opt-125m}]\n");
    cr_assert_eq(config->limits.slots_max, 1024);
    ss_config_destroy(config);
}

Test(config_read, values)
{
    struct ss_config *config = accept(
        "group: {tp: 2, pp: 2}\n"
        "device:\n  kind: cpu\n  pool: 1GB\n  page: 16KiB\n  piece: 64KiB\n"
        "  link: {bandwidth: 20MB/s, latency: 10us}\n  compute: paced\n"
        "  profile: {memory_bandwidth: 3TB/s, flops: 700TFLOP/s, overhead: 0}\n"
        "arena: {limit: 2GiB, spill: 0}\n"
        "server: {endpoints: [ipc:///tmp/a, 'tcp://*:1'], frame_max: 2MiB}\n"
        "emulate: {poll: true}\ndeterministic: false\nlog_level: debug\n"
        "models:\n- {name: a/b:c, synthetic: opt-13b, scale: 0.5, seed: 18446744073709551615,\n"
        "   dtype: bf16, context: 128, batch: 4, pin: true}\n");

    cr_assert_eq(config->device.link_bytes_per_s, 20000000);
    cr_assert_eq(config->device.link_latency_ns, 10000);
    cr_assert_eq(config->device.profile.memory_bytes_per_s, 3e12);
    cr_assert_eq(config->device.profile.flops_per_s, 7e14);
    cr_assert_eq(config->device.profile.overhead_ns, 0);
    cr_assert_eq(config->arena.limit_bytes, 2ull << 30);
    cr_assert_eq(config->arena.spill_bytes, 0);
    cr_assert_eq(config->server.endpoints.count, 2);
    cr_assert_str_eq(config->server.endpoints.items[1], "tcp://*:1");
    cr_assert(config->emulate.poll);
    cr_assert_not(config->emulate.copy_back);
    cr_assert_not(config->deterministic);
    cr_assert_str_eq(config->models[0].name, "a/b:c");
    cr_assert_eq(config->models[0].scale, 0.5);
    cr_assert_eq(config->models[0].seed, UINT64_MAX);
    cr_assert_eq(config->models[0].context_max, 128);
    cr_assert_eq(config->models[0].batch_max, 4);
    cr_assert(config->models[0].pin);
    cr_assert_eq(config->models[0].line, 16);
    ss_config_destroy(config);
}

Test(config_read, not_yaml)
{
    refuse("", "t.yaml: found an empty file");
    refuse("# nothing\n", "t.yaml: found an empty file");
    refuse("just words", "t.yaml:1:1: found \"just words\", expected keys");
    refuse("- a\n", "t.yaml:1:1: found a list, expected keys");
    refuse("group: {tp: 1\n", "t.yaml:2:1: found what is not YAML");
    refuse("a: 1\n b: 2\n", "t.yaml:1:4: found what is not YAML");
    refuse(MINIMAL "---\na: 1\n", "t.yaml:3:1: found a second document");
    refuse("? [a]\n: b\n", "t.yaml:1:3: found a map or a list as a key");
    refuse(MINIMAL "trace: !!str x\n", "t.yaml:3:14: trace: found a tag");
}

Test(config_read, not_text)
{
    refuse_bytes("group:\n  \xff\xfe\n", 11, "t.yaml:2:3: found bytes that are not UTF-8");
    refuse_bytes("a: \xc3", 4, "t.yaml:1:4: found bytes that are not UTF-8");
    refuse_bytes("a: b\0c", 6, "t.yaml:1:5: found a NUL byte");
    refuse_bytes("g\0r\0o\0", 6, "t.yaml:1:2: found a NUL byte");
}

Test(config_read, byte_order_mark)
{
    ss_config_destroy(accept("\xef\xbb\xbf" MINIMAL));
}

/* Each alias would stand for ten of the one before: refused without expanding any. */
Test(config_read, alias_bomb, .timeout = 10)
{
    char text[2048];
    size_t used = (size_t)snprintf(text, sizeof text, "a0: &a0 [x]\n");

    for (int i = 1; i < 20; i++)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1,
                                 i - 1, i - 1, i - 1, i - 1);
    refuse(text, "t.yaml:1:1: found the unknown key \"a0\"");
    refuse(MINIMAL "server: {endpoints: [tcp://a:1, *x]}\n",
           "t.yaml:3:33: server.endpoints[1]: found an alias");
    refuse(MINIMAL "limits: *x\n", "t.yaml:3:9: limits: found an alias");
    refuse(MINIMAL "trace: &t x\nlog_level: *t\n", "t.yaml:4:12: log_level: found an alias");
    refuse("base: &b {kind: cpu}\ndevice: {<<: *b, pool: 1MiB}\n", "t.yaml:1:1: found the unknown");
}

static void refuse_repeated(const char *part, size_t count, const char *end, const char *line)
{
    size_t length = strlen(part), bytes = length * count + strlen(end);
    char *text = malloc(bytes + 1);

    for (size_t i = 0; i < count; i++)
        memcpy(text + i * length, part, length);
    memcpy(text + length * count, end, strlen(end) + 1);
    refuse_bytes(text, bytes, line);
    free(text);
}

Test(config_read, deep_and_huge, .timeout = 20)
{
    refuse_repeated("[", 100000, "", "t.yaml:1:17: found values nested over 16 deep");
    refuse_repeated("{a: ", 100000, "", "t.yaml:1:65: found values nested over 16 deep");
    refuse_repeated("- ", 100000, "x\n", "t.yaml:1:33: found values nested over 16 deep");
    refuse_repeated("- x\n", 300000, "", "t.yaml:1:1: found a list");
    refuse_repeated("k: x\n", 150000, "", "t.yaml:1:1: found the unknown key");
    refuse_repeated("device: {}\n", 150000, "", "t.yaml:2:1: device: found the key a second time");
}

/* What stands after a syntax error may hold the keys that seem to be missing: only what was read
 * is judged. */
Test(config_read, syntax_error_hides_no_mistake)
{
    struct ss_config *config = NULL;
    char *said = NULL;

    cr_assert_eq(read_text("group: {tp: 99}\nlimits: {slots: [}\n", 35, &config, &said),
                 SS_INVALID);
    cr_assert_not_null(strstr(said, "t.yaml:1:13: group.tp: found \"99\""), "%s", said);
    cr_assert_not_null(strstr(said, "found what is not YAML"), "%s", said);
    cr_assert_null(strstr(said, "device"), "%s", said);
    cr_assert_null(strstr(said, "no such key"), "%s", said);
    free(said);
}

Test(config_read, what_stands_where_keys_belong_is_one_mistake)
{
    struct ss_config *config = NULL;
    char *said = NULL;
    static const char text[] = "device: cpu\nmodels: [{name: m, synthetic: opt-13b}]\n";

    cr_assert_eq(read_text(text, sizeof text - 1, &config, &said), SS_INVALID);
    cr_assert_not_null(strstr(said, "t.yaml:1:9: device: found \"cpu\", expected keys"), "%s",
                       said);
    cr_assert_null(strstr(said, "no such key"), "%s", said);
    free(said);
}

Test(config_read, endpoints)
{
    static const char *const good[] = {"tcp://*:0",         "tcp://127.0.0.1:*",
                                       "tcp://[::1]:65535", "ipc:///run/a.sock",
                                       "ipc://a",           "tcp://a.b:5555"};
    static const char *const bad[] = {"tcp://",     "tcp://a",       "tcp://:1",
                                      "tcp://a:",   "tcp://a:65536", "ipc://",
                                      "tcp://a:1x", "udp://a:1",     "tcp://a:-1"};
    for (size_t i = 0; i < sizeof good / sizeof *good + sizeof bad / sizeof *bad; i++) {
        struct ss_config *config = NULL;
        char *said = NULL, text[256];
        size_t count = sizeof good / sizeof *good;
        const char *endpoint = i < count ? good[i] : bad[i - count];
        int bytes = snprintf(text, sizeof text, MINIMAL "server: {endpoints: '%s'}\n", endpoint);

        cr_assert_eq(read_text(text, (size_t)bytes, &config, &said), i < count ? SS_OK : SS_INVALID,
                     "%s: %s", endpoint, said);
        cr_assert(i < count || strstr(said, "expected tcp://HOST:PORT or ipc://PATH"), "%s", said);
        ss_config_destroy(config);
        free(said);
    }
}

Test(config_read, clashes)
{
    refuse("device: {kind: cuda, pool: 8GiB, link: {bandwidth: 1GB/s}}\n"
           "models: [{name: m, synthetic: opt-13b}]\n",
           "t.yaml:1:52: device.link.bandwidth: found beside kind: cuda");
    refuse("device: {kind: cpu, pool: 8KiB}\nmodels: [{name: m, synthetic: opt-13b}]\n",
           "t.yaml:1:27: device.pool: found 8KiB, expected one page (64KiB) at least");
    refuse(MINIMAL "limits: {requests: 5, queue_per_model: 6}\n",
           "t.yaml:3:40: limits.queue_per_model: found 6, expected limits.requests (5) at most");
    refuse("models: [{name: m, synthetic: opt-13b}]\n",
           "t.yaml:1:1: device.kind: found no such key, expected cpu or cuda\n"
           "t.yaml:1:1: device.pool: found no such key");
    refuse("device: {kind: cpu, pool: 8MiB}\n", "t.yaml:1:1: models: found no such key");
    refuse("device: {kind: cpu, pool: 8MiB}\nmodels: []\n", "t.yaml:2:9: models: found an empty");
    refuse(MINIMAL "models[].pin: true\n", "t.yaml:3:1: found the unknown key");
    refuse(MINIMAL "group.tp: 2\n", "t.yaml:3:1: found the unknown key \"group.tp\"");
}

/* Every allocation fails once: an error each time, nothing leaked, nothing half done. */
Test(config_read, no_memory)
{
    struct ss_config *config = NULL;
    char *said = NULL;
    int failures = 0;

    for (uint64_t nth = 1;; nth++) {
        ss_fault_arm(SS_FAULT_ALLOC, nth);
        enum ss_status status = read_text(MINIMAL, strlen(MINIMAL), &config, &said);
        uint64_t count = ss_fault_count(SS_FAULT_ALLOC);

        ss_fault_arm(SS_FAULT_ALLOC, 0);
        free(said);
        if (status == SS_OK) {
            cr_assert_lt(count, nth);
            break;
        }
        cr_assert_eq(status, SS_NO_MEMORY);
        failures++;
    }
    cr_assert_gt(failures, 10);
    ss_config_destroy(config);
}

/* tests/golden/config: what is said about each mistake, to the byte; ROOT is the checkout. */
Test(config_read, golden_mistakes)
{
    static const char path[] = "tests/golden/config/mistakes.yaml";
    struct ss_config *config = NULL;
    char *said = NULL, *expected = NULL, *root = realpath(".", NULL), *at;
    size_t said_bytes = 0, capacity = 0;
    FILE *stream = open_memstream(&said, &said_bytes);
    FILE *file = fopen("tests/golden/config/mistakes.expected", "r");

    cr_assert_eq(ss_config_read(path, stream, &config), SS_INVALID);
    fclose(stream);
    cr_assert_str_eq(ss_status_message(), "tests/golden/config/mistakes.yaml: 41 mistakes");
    while ((at = strstr(said, root)) != NULL) {
        memcpy(at, "ROOT", 4);
        memmove(at + 4, at + strlen(root), strlen(at + strlen(root)) + 1);
    }
    cr_assert_not_null(file);
    cr_assert_gt(getdelim(&expected, &capacity, '\0', file), 0);
    fclose(file);
    cr_assert_str_eq(said, expected, "said:\n%s", said);
    free(said);
    free(expected);
    free(root);
}

Test(config_read, files)
{
    struct ss_config *config = NULL;

    cr_assert_eq(ss_config_read("tests/golden/config/none.yaml", stderr, &config), SS_IO);
    cr_assert_eq(ss_config_read("tests", stderr, &config), SS_INVALID);
    cr_assert_eq(ss_config_read("/dev/null", stderr, &config), SS_INVALID);
    cr_assert_null(config);
}

Test(config_read, shipped_examples)
{
    static const char *const paths[] = {"configs/llm.yaml", "configs/quickstart.yaml"};

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct ss_config *config = NULL;

        cr_assert_eq(ss_config_read(paths[i], stderr, &config), SS_OK, "%s", paths[i]);
        cr_assert_eq(config->models[0].path[0], '/');
        ss_config_destroy(config);
    }
}

Test(config_read, counts)
{
    struct ss_config *config = accept(
        "device: {kind: cpu, pool: 8MiB}\nmodels:\n- {name: a, synthetic: opt-125m, count: 3, "
        "seed: "
        "7}\n- {name: b, synthetic: opt-125m, count: 1}\n- {name: c, synthetic: opt-125m}\n");

    cr_assert_eq(config->model_count, 5);
    cr_assert_str_eq(config->models[0].name, "a-0");
    cr_assert_str_eq(config->models[2].name, "a-2");
    cr_assert_str_eq(config->models[3].name, "b-0");
    cr_assert_str_eq(config->models[4].name, "c");
    cr_assert_eq(config->models[2].seed, 9);
    cr_assert_eq(config->models[2].alike, 0);
    cr_assert_eq(config->models[3].alike, 3);
    cr_assert_eq(config->models[4].entry, 2);
    cr_assert_str_eq(config->models[2].synthetic, "opt-125m");
    ss_config_destroy(config);
    refuse(
        "device: {kind: cpu, pool: 8MiB}\nmodels:\n- {name: a, synthetic: opt-125m, count: 2}\n- "
        "{name: a-1, synthetic: opt-125m}\n",
        "t.yaml:4:10: models[1].name: found \"a-1\", the name of models[0] in line 3");
    refuse("device: {kind: cpu, pool: 8MiB}\nmodels:\n- {name: a, synthetic: opt-125m, count: 0}\n",
           "t.yaml:3:41: models[0].count: found \"0\", expected an integer from 1 to");
    refuse("device: {kind: cpu, pool: 8MiB}\nmodels:\n- {name: a, synthetic: opt-125m, count: "
           "65534}\n- {name: b, synthetic: opt-125m}\n",
           "t.yaml:4:3: models[1].count: found 65535 models up to here, expected 65534");
    refuse("device: {kind: cpu, pool: 8MiB}\nmodels:\n- {name: a, path: ., count: 2}\n",
           "t.yaml:3:29: models[0].count: found without synthetic");
}
