/* What steps and loads cost by the shipped profiles, held against what was measured. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/config/profile.h"
#include "engine/serve/costs.h"
#include "tests/unit/swap_checkpoint_files.h"

/* A catalog of one OPT-13B in the layout TP x PP, with a shipped profile. */
static struct ss_catalog *open_catalog(int tp, int pp, const char *profile,
                                       struct ss_config **config)
{
    struct ss_catalog *catalog;
    char text[900], path[400], here[400], *folder = make_folder();
    cr_assert(getcwd(here, sizeof here) != 0);
    snprintf(text, sizeof text,
             "group: {tp: %d, pp: %d}\ndevice: {kind: cuda, pool: 64GiB}\n"
             "profile: %s/configs/profiles/%s\nmodels: [{name: m, synthetic: opt-13b}]\n",
             tp, pp, here, profile);
    write_text(folder, "t.yaml", text);
    snprintf(path, sizeof path, "%s/t.yaml", folder);
    cr_assert_eq(ss_config_read(path, stderr, config), SS_OK);
    cr_assert_eq(ss_catalog_open(*config, stderr, &catalog), SS_OK);
    remove_folder(folder);
    return catalog;
}

/* Seconds of a step through all stages, its hops between them included. */
static double step_s(const struct ss_catalog *catalog, uint64_t rows, uint64_t context)
{
    uint64_t ns = 0;
    for (int stage = 0; stage < catalog->pp; stage++) {
        struct ss_step_cost cost;
        ss_costs_of_stage(catalog, 0, stage, &cost);
        ns += ss_step_cost_ns(&cost, rows, context);
    }
    return (double)ns / 1e9;
}

/* experiments/profile/results/h200-x4/busy-*.json (batch 1) and experiments/stepbench/results: one
 * model for all layouts. (4,1) and (2,2) were measured before prefill's attention was tiled:
 * prefill is compared at (1,1) alone. */
Test(serve_costs, steps_as_measured)
{
    static const struct {
        int tp, pp;
        uint64_t rows, context;
        double measured_s;
    } rows[] = {
        {1, 1, 1, 712, 0.0101066},   {1, 1, 32, 32 * 513, 0.0154419},
        {1, 1, 512, 512, 0.0249776}, {1, 1, 4096, 8 * 512, 0.172889},
        {4, 1, 1, 712, 0.0070875},   {4, 1, 32, 32 * 513, 0.00810543},
        {2, 2, 1, 712, 0.00958423},  {2, 2, 32, 32 * 513, 0.0123347},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ss_config *config;
        struct ss_catalog *catalog = open_catalog(rows[i].tp, rows[i].pp, "h200-x4.yaml", &config);
        double said_s = step_s(catalog, rows[i].rows, rows[i].context);
        cr_assert_float_eq(said_s / rows[i].measured_s, 1, 0.06, "(%d,%d), %d rows: says %g",
                           rows[i].tp, rows[i].pp, (int)rows[i].rows, said_s);
        ss_catalog_close(catalog);
        ss_config_destroy(config);
    }
}

/* Loads of all ranks at once, the mean of experiments/swapbench/results and of the day that the
 * profile was measured: days differ by up to a fifth. */
Test(serve_costs, loads_as_measured)
{
    static const struct {
        int tp, pp;
        double measured_s;
    } rows[] = {{1, 1, 0.4722}, {4, 1, 0.1363}, {1, 4, 0.1453}, {2, 2, 0.1429}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ss_config *config;
        struct ss_catalog *catalog = open_catalog(rows[i].tp, rows[i].pp, "h200-x4.yaml", &config);
        uint64_t largest = 0;
        for (int stage = 0; stage < catalog->pp; stage++)
            if (catalog->models[0].images[stage].bytes > largest)
                largest = catalog->models[0].images[stage].bytes;
        double said_s = (double)largest / (double)ss_costs_link_bytes_per_s(catalog);
        cr_assert_float_eq(said_s / rows[i].measured_s, 1, 0.05, "(%d,%d): says %g", rows[i].tp,
                           rows[i].pp, said_s);
        ss_catalog_close(catalog);
        ss_config_destroy(config);
    }
}

Test(serve_costs, the_parts_of_a_stage)
{
    struct ss_config *config;
    struct ss_catalog *catalog = open_catalog(2, 2, "h200-x4.yaml", &config);
    const struct ss_profile *profile = catalog->profile;
    const struct ss_image *image = &catalog->models[0].images[1];
    struct ss_step_cost layer, head, stage, sum = {0};
    ss_costs_of_chunk(catalog, 0, 1, 1, &layer);
    ss_costs_of_chunk(catalog, 0, 1, image->chunk_count - 1, &head);
    ss_costs_of_stage(catalog, 0, 1, &stage);
    cr_assert_eq(layer.fixed_ns,
                 profile->compute.layer_overhead_ns + 2 * profile->collective.latency_ns);
    cr_assert_eq(layer.weights_ns, (uint64_t)((double)image->chunks[1].bytes * 1e9 /
                                              profile->compute.memory_bytes_per_s));
    /* 12 hidden^2 of weights a layer, half of it here; two sums of hidden fp16 values. */
    cr_assert_float_eq(layer.row_ns,
                       12.0 * 5120 * 5120 * 1e9 / profile->compute.flops_per_s +
                           2 * 5120 * 2 * 1e9 / profile->collective.bytes_per_s,
                       1e-6);
    cr_assert_float_eq(layer.context_ns, 2 * 2560 * 2 * 1e9 / profile->compute.context_bytes_per_s,
                       1e-9);
    cr_assert_eq(head.row_ns, 0);
    cr_assert_gt(head.weights_ns, 0);
    for (int i = 0; i < image->chunk_count; i++) {
        struct ss_step_cost chunk;
        ss_costs_of_chunk(catalog, 0, 1, i, &chunk);
        sum.fixed_ns += chunk.fixed_ns;
        sum.weights_ns += chunk.weights_ns;
    }
    cr_assert_eq(stage.fixed_ns, sum.fixed_ns);
    cr_assert_eq(stage.weights_ns, sum.weights_ns);
    ss_catalog_close(catalog);
    ss_config_destroy(config);
}

/* The controller is told the same. */
Test(serve_costs, in_the_controllers_options)
{
    struct ss_config *config;
    struct ss_catalog *catalog = open_catalog(2, 2, "h200-x4.yaml", &config);
    struct ss_controller_model model;
    struct ss_controller_options options;
    struct ss_step_cost stage;
    ss_catalog_controller_options(catalog, &model, &options);
    ss_costs_of_stage(catalog, 0, 1, &stage);
    cr_assert_eq(memcmp(&stage, &model.cost[1], sizeof stage), 0);
    cr_assert_eq(options.link_bytes_per_s,
                 (uint64_t)(catalog->profile->link.total_bytes_per_s / 4));
    ss_catalog_close(catalog);
    ss_config_destroy(config);
}

static void refuse(const char *text, const char *line)
{
    struct ss_profile *profile = (void *)1;
    char *said = 0;
    size_t bytes = 0;
    FILE *stream = open_memstream(&said, &bytes);
    enum ss_status status = ss_profile_read_text("p.yaml", text, strlen(text), stream, &profile);
    fclose(stream);
    cr_assert_eq(status, SS_INVALID);
    cr_assert_eq(profile, (void *)1);
    cr_assert(strncmp(said, line, strlen(line)) == 0, "said: %swanted: %s", said, line);
    free(said);
}

Test(serve_costs, profiles_with_mistakes)
{
    refuse("link: {alone: 1GB/s}\n",
           "p.yaml:1:1: compute.memory_bandwidth: found no such key, expected a rate");
    refuse("link: {alone: 55.4}\ncompute: {memory_bandwidth: 1TB/s, flops: 1TFLOP/s}\n",
           "p.yaml:1:15: link.alone: found \"55.4\", which has no unit");
    refuse("link: {alone: 1GB/s, shared: 2GB/s}\ncompute: {memory_bandwidth: 1TB/s, flops: "
           "1TFLOP/s}\n",
           "p.yaml:1:22: link: found the unknown key \"shared\"");
    refuse("link: {alone: 0B/s}\ncompute: {memory_bandwidth: 1TB/s, flops: 1TFLOP/s}\n",
           "p.yaml:1:15: link.alone: found");
}

Test(serve_costs, shipped_profiles)
{
    static const char *const files[] = {"configs/profiles/h200-x4.yaml",
                                        "configs/profiles/a100-x4.yaml"};
    for (size_t i = 0; i < 2; i++) {
        struct ss_profile *profile;
        cr_assert_eq(ss_profile_read(files[i], stderr, &profile), SS_OK);
        cr_assert_gt(profile->link.total_bytes_per_s, profile->link.alone_bytes_per_s);
        cr_assert_gt(profile->compute.context_bytes_per_s, 0);
        ss_free(profile);
    }
}
