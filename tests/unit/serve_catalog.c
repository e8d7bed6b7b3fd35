/* The catalog and the plan: what a config's models come to, and what cannot be served. */
#include "engine/serve/catalog.h"

#include "tests/unit/swap_checkpoint_files.h"

#define KIB 1024u

struct opened {
    struct ss_config *config;
    struct ss_catalog *catalog;
    char *said;
    size_t said_bytes;
    char *folder;
};

/* Reads the config at PATH and opens its catalog; what is said of mistakes is kept. */
static enum ss_status open_path(const char *path, struct opened *out)
{
    *out = (struct opened){0};
    FILE *mistakes = open_memstream(&out->said, &out->said_bytes);
    cr_assert_eq(ss_config_read(path, mistakes, &out->config), SS_OK, "%s",
                 (fflush(mistakes), out->said));
    enum ss_status status = ss_catalog_open(out->config, mistakes, &out->catalog);
    if (!status)
        status = ss_catalog_check(out->catalog, mistakes);
    fclose(mistakes);
    return status;
}

static enum ss_status open_text(const char *text, struct opened *out)
{
    char *folder = make_folder(), path[300];
    write_text(folder, "t.yaml", text);
    snprintf(path, sizeof path, "%s/t.yaml", folder);
    enum ss_status status = open_path(path, out);
    out->folder = folder;
    return status;
}

static void close_it(struct opened *opened)
{
    ss_catalog_close(opened->catalog);
    ss_config_destroy(opened->config);
    free(opened->said);
    if (opened->folder)
        remove_folder(opened->folder);
}

static uint64_t up(uint64_t bytes, uint64_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

Test(serve_catalog, the_quickstart)
{
    struct opened opened;
    cr_assert_eq(open_path("configs/quickstart.yaml", &opened), SS_OK, "%s", opened.said);
    cr_assert_str_empty(opened.said);
    const struct ss_catalog *catalog = opened.catalog;
    uint64_t page = 16 * KIB;
    cr_assert(catalog->tp == 2 && catalog->pp == 2 && catalog->model_count == 3);
    cr_assert_eq(catalog->activation_bytes, 4);
    cr_assert_eq(ss_catalog_batches_in_flight(catalog), 3);
    for (int m = 0; m < 3; m++) {
        const struct ss_catalog_model *model = &catalog->models[m];
        cr_assert_eq(model->context_max, model->shape.positions);
        cr_assert_eq(model->batch_max, 8);
        for (int stage = 0; stage < 2; stage++) {
            uint64_t shard = 0, layers = 0;
            for (int c = 0; c < model->images[stage].chunk_count; c++) {
                const struct ss_chunk *chunk = &model->images[stage].chunks[c];
                layers += chunk->kind == SS_CHUNK_LAYER;
                shard += up(chunk->bytes, page);
                cr_assert_eq(model->chunk_bytes[stage][c], chunk->bytes);
                cr_assert_eq(model->chunk_pages[stage][c] * page, up(chunk->bytes, page));
            }
            uint64_t block = layers * 16 * 2 * (model->shape.kv_heads / 2) * model->shape.head_dim *
                             sizeof(float);
            cr_assert_eq(model->kv_block_bytes[stage], block);
            cr_assert_eq(model->kv_block_pages[stage] * page, up(block, page));
            cr_assert_eq(ss_catalog_shard_bytes(catalog, m, stage), shard);
            cr_assert_eq(ss_catalog_sequence_bytes(catalog, m, stage),
                         (model->context_max + 15) / 16 * up(block, page));
        }
    }
    close_it(&opened);
}

Test(serve_catalog, shards_do_not_overlap_in_the_arena)
{
    struct opened opened;
    cr_assert_eq(open_path("configs/quickstart.yaml", &opened), SS_OK);
    const struct ss_catalog *catalog = opened.catalog;
    for (int stage = 0; stage < 2; stage++) {
        uint64_t end = 0;
        for (int m = 0; m < 3; m++) {
            uint64_t at = catalog->models[m].arena_offset[stage];
            cr_assert(at >= end && at % 4096 == 0 && at - end < 4096);
            end = at + catalog->models[m].images[stage].bytes;
        }
        cr_assert_eq(ss_catalog_arena_bytes(catalog, stage), up(end, 4096) + 4096 * KIB);
    }
    close_it(&opened);
}

Test(serve_catalog, options_for_the_controller)
{
    struct opened opened;
    struct ss_controller_model models[3];
    struct ss_controller_options options;
    cr_assert_eq(open_path("configs/quickstart.yaml", &opened), SS_OK);
    const struct ss_catalog *catalog = opened.catalog;
    ss_catalog_controller_options(catalog, models, &options);
    cr_assert(options.tp == 2 && options.pp == 2 && options.model_count == 3);
    cr_assert_eq(options.limits.slots_max, 32);
    cr_assert_eq(options.limits.step_tokens_max, 256);
    uint64_t least = UINT64_MAX;
    for (int stage = 0; stage < 2; stage++) {
        uint64_t unit = 1;
        cr_assert_eq(options.pool_pages[stage], 3 * KIB / 16);
        for (int m = 0; m < 3; m++) {
            uint64_t block = catalog->models[m].kv_block_bytes[stage];
            unit = block > unit ? block : unit;
            cr_assert_eq(models[m].chunk_count[stage],
                         (uint32_t)catalog->models[m].images[stage].chunk_count);
        }
        cr_assert_eq(ss_catalog_spill_unit(catalog, stage), unit);
        least = 4096 * KIB / unit < least ? 4096 * KIB / unit : least;
    }
    cr_assert_eq(options.spill_blocks, least, "what fits on the rank with the largest blocks");
    cr_assert_str_eq(models[2].name, "qwen2-tiny");
    close_it(&opened);
}

Test(serve_catalog, the_plan_says_what_fits)
{
    struct opened opened;
    char *text = 0;
    size_t bytes;
    cr_assert_eq(open_path("configs/quickstart.yaml", &opened), SS_OK);
    FILE *file = open_memstream(&text, &bytes);
    ss_catalog_print(opened.catalog, file);
    fclose(file);
    static const char *const parts[] = {
        "tp 2 x pp 2 = 4 ranks, device cpu, pool 3.0 MiB per rank in pages of 16.0 KiB",
        "opt-tiny",
        "llama-tiny",
        "qwen2-tiny",
        "F32   4 layers",
        "host arena:",
        "fits at once: 2 of 3 models"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        cr_assert(strstr(text, parts[i]), "no %s in:\n%s", parts[i], text);
    free(text);
    close_it(&opened);
}

static void check_says(const struct opened *opened, const char *part)
{
    cr_assert(strstr(opened->said, part), "no %s in:\n%s", part, opened->said);
}

static int lines_of(const char *text)
{
    int lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

Test(serve_catalog, too_small_a_pool)
{
    /* OPT 125m: a shard of 251 MB in 16 bits on one rank, 126 and 126 on two stages. */
    struct opened opened;
    cr_assert_eq(open_text("group: {pp: 2}\n"
                           "device: {kind: cpu, pool: 256MiB}\n"
                           "models:\n"
                           "  - {name: fits, synthetic: opt-125m, context: 64}\n"
                           "  - {name: wide, synthetic: opt-1.3b, context: 2048}\n"
                           "  - {name: long, synthetic: opt-350m, context: 2048}\n",
                           &opened),
                 SS_INVALID);
    cr_assert(strstr(ss_status_message(), "t.yaml: device.pool is too small"), "%s",
              ss_status_message());
    check_says(&opened, "t.yaml:5: model wide: a rank of stage 0 needs ");
    check_says(&opened, "t.yaml:5: model wide: a rank of stage 1 needs ");
    check_says(&opened, "one sequence of 2048 tokens ");
    check_says(&opened, "device.pool is 256 MiB");
    /* 350m: a stage's shard fits alone; with 2048 tokens of fp32 KV, 192 MiB a stage, none does. */
    check_says(&opened, "t.yaml:6: model long: a rank of stage 0 needs ");
    check_says(&opened, "tokens 192 MiB");
    cr_assert_eq(lines_of(opened.said), 4, "%s", opened.said);
    cr_assert_null(strstr(opened.said, "model fits"));
    close_it(&opened);
}

Test(serve_catalog, pinned_models_leave_less)
{
    /* Either fits alone; beside a pinned one of 239 MiB the other does not. */
    static const char rest[] = "device: {kind: cpu, pool: 400MiB}\n"
                               "models:\n"
                               "  - {name: a, synthetic: opt-125m, context: 64, pin: %s}\n"
                               "  - {name: b, synthetic: opt-125m, context: 64}\n";
    for (int pinned = 0; pinned < 2; pinned++) {
        char text[512];
        struct opened opened;
        snprintf(text, sizeof text, rest, pinned ? "true" : "false");
        cr_assert_eq(open_text(text, &opened), pinned ? SS_INVALID : SS_OK, "%s", opened.said);
        if (pinned)
            check_says(&opened, "t.yaml:4: model b: a rank of stage 0 needs ");
        cr_assert_eq(lines_of(opened.said), pinned, "%s", opened.said);
        close_it(&opened);
    }
}

Test(serve_catalog, every_mistake_of_every_model)
{
    struct opened opened;
    char text[2048], *models = realpath("tests/golden/models", 0), *empty = make_folder();
    cr_assert(models);
    write_text(empty, "config.json", "{}");
    snprintf(text, sizeof text,
             "group: {tp: 3, pp: 1}\n"
             "device: {kind: cpu, pool: 1GiB}\n"
             "models:\n"
             "  - {name: heads, path: %s/llama-tiny}\n"
             "  - {name: good, synthetic: opt-125m}\n"
             "  - {name: shape, synthetic: opt-12b}\n"
             "  - {name: context, synthetic: opt-125m, context: 4096}\n"
             "  - {name: nothing, path: %s}\n"
             "  - {name: many, synthetic: opt-11b, count: 3}\n",
             models, empty);
    cr_assert_neq(open_text(text, &opened), SS_OK);
    cr_assert(strstr(ss_status_message(), "t.yaml: 7 of 8 models cannot be served"), "%s",
              ss_status_message());
    check_says(&opened, "t.yaml:4: model heads: tp 3 does not divide its 8 attention");
    check_says(&opened, "t.yaml:6: model shape: no synthetic shape is called opt-12b; these are: ");
    check_says(&opened,
               "t.yaml:7: model context: context: found 4096, the model was made for 2048");
    check_says(&opened, "t.yaml:8: model nothing: ");
    check_says(&opened, "/config.json: model_type is missing");
    check_says(&opened, "t.yaml:9: model many-0: no synthetic shape is called opt-11b");
    cr_assert_eq(lines_of(opened.said), 5, "%s", opened.said);
    cr_assert_null(opened.catalog);
    close_it(&opened);
    remove_folder(empty);
    free(models);
}

static const struct ss_opening *opening_of(void *user, uint64_t request)
{
    (void)request;
    return user;
}

Test(serve_catalog, a_message_holds_what_an_entry_may_carry)
{
    struct opened opened;
    cr_assert_eq(open_path("configs/quickstart.yaml", &opened), SS_OK);
    const struct ss_catalog *catalog = opened.catalog;
    size_t bytes = ss_catalog_message_bytes_max(catalog), written;
    unsigned char *buffer = malloc(bytes);
    /* The largest batch: as many openings as go, each with the longest prompt and all blocks. */
    for (int m = 0; m < 3; m++) {
        const struct ss_catalog_model *model = &catalog->models[m];
        uint32_t blocks = (model->context_max + 15) / 16, count = model->batch_max;
        int32_t *prompt = calloc(model->context_max, sizeof *prompt);
        uint32_t *pages = calloc((size_t)count * blocks * 2, sizeof *pages);
        struct ss_batch_sequence items[8] = {{0}};
        cr_assert(prompt && pages && count == 8);
        struct ss_opening opening = {.prompt_count = model->context_max - 1,
                                     .length_max = model->context_max,
                                     .stop_id_count = SS_STOP_IDS_MAX,
                                     .prompt = prompt};
        for (uint16_t i = 0; i < count; i++)
            items[i] = (struct ss_batch_sequence){
                .slot = i, .flags = SS_SEQUENCE_OPEN, .count = 1, .new_blocks = blocks};
        struct ss_entry entry = {.number = 1,
                                 .kind = SS_ENTRY_BATCH,
                                 .model = (uint16_t)m,
                                 .sequence_count = count,
                                 .sequences = items,
                                 .page_count = count * blocks * 2,
                                 .pages = pages};
        cr_assert_eq(ss_entry_encode(&entry, opening_of, &opening, buffer, bytes, &written), SS_OK,
                     "%s", ss_status_message());
        cr_assert_gt(written, 8 * 4 * (size_t)model->context_max);
        free(prompt);
        free(pages);
    }
    free(buffer);
    close_it(&opened);
}
