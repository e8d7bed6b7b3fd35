/* Published shapes, rotary frequencies, and what a checkpoint settles. */
#include <math.h>

#include "swap/fill.h"
#include "tests/unit/models_folder.h"

/* Parameters as published, in billions; the bytes of a whole image in 16 bits are twice that. */
static const struct {
    const char *name;
    double billions;
} published[] = {
    {"opt-125m", 0.1252},    {"opt-350m", 0.3312}, {"opt-1.3b", 1.3158}, {"opt-2.7b", 2.6516},
    {"opt-6.7b", 6.6585},    {"opt-13b", 12.853},  {"opt-30b", 29.975},  {"llama-3-8b", 8.0303},
    {"llama-3-70b", 70.554}, {"qwen2-7b", 7.6156},
};

static uint64_t whole_bytes(const struct ss_shape *shape, int tp, int pp)
{
    struct ss_partition cut;
    uint64_t bytes = 0;
    cr_assert_eq(ss_partition_make(shape, tp, pp, &cut), SS_OK, "%s", ss_status_message());
    for (int stage = 0; stage < pp; stage++) {
        struct ss_image image;
        cr_assert_eq(ss_partition_image(&cut, shape, stage, 0, &image), SS_OK);
        bytes += image.bytes * (uint64_t)tp;
        ss_image_release(&image);
    }
    return bytes;
}

Test(models_shapes, published_bytes)
{
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        struct ss_shape shape;
        cr_assert_eq(ss_shape_synthetic(published[i].name, 1, SS_BF16, &shape), SS_OK);
        double off = (double)whole_bytes(&shape, 1, 1) / (2e9 * published[i].billions) - 1;
        cr_assert_lt(fabs(off), 1e-3, "%s: %+.3f%%", published[i].name, 100 * off);
        /* Cut, it holds the same, but for what every rank needs whole and a second tied table. */
        uint64_t tables = shape.tied ? 2ull * shape.vocab * shape.embedding : 0;
        off = (double)(whole_bytes(&shape, 2, 2) - tables) / (2e9 * published[i].billions) - 1;
        cr_assert(off > -1e-3 && off < 1.5e-2, "%s: %+.3f%%", published[i].name, 100 * off);
    }
}

Test(models_shapes, figures_that_people_know)
{
    struct ss_shape shape;
    cr_assert_eq(ss_shape_synthetic("opt-13b", 1, SS_F16, &shape), SS_OK);
    cr_assert_float_eq((double)whole_bytes(&shape, 1, 1), 25.7e9, 0.01 * 25.7e9);
    cr_assert_eq(ss_shape_synthetic("llama-3-8b", 1, SS_F16, &shape), SS_OK);
    cr_assert_float_eq((double)whole_bytes(&shape, 1, 1), 16.06e9, 0.01 * 16.06e9);
    cr_assert_eq(ss_shape_synthetic("llama-3-8b", 1, SS_F32, &shape), SS_OK);
    cr_assert_float_eq((double)whole_bytes(&shape, 1, 1), 32.12e9, 0.01 * 32.12e9);
}

Test(models_shapes, details_of_the_families)
{
    struct ss_shape shape;
    cr_assert_eq(ss_shape_synthetic("opt-350m", 1, SS_F16, &shape), SS_OK);
    cr_assert(!shape.norm_first && !shape.final_norm && shape.embedding == 512 && shape.tied);
    cr_assert_eq(ss_shape_synthetic("llama-3-70b", 1, SS_F16, &shape), SS_OK);
    cr_assert(shape.rope.theta == 500000 && !shape.tied && !shape.attention_bias);
    cr_assert(shape.kv_heads == 8 && shape.head_dim == 128 && shape.norm_epsilon == 1e-5f);
    cr_assert_eq(ss_shape_synthetic("qwen2-7b", 1, SS_BF16, &shape), SS_OK);
    cr_assert(shape.attention_bias && !shape.output_bias && shape.rope.theta == 1000000);
    cr_assert(shape.norm_epsilon == 1e-6f && shape.dtype == SS_BF16);
}

Test(models_shapes, scaled)
{
    struct ss_shape shape;
    static const struct {
        double scale;
        uint32_t layers;
    } cases[] = {{0.5, 20}, {0.26, 10}, {0.0001, 1}, {1, 40}};
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(ss_shape_synthetic("opt-13b", cases[i].scale, SS_F16, &shape), SS_OK);
        cr_assert_eq(shape.layers, cases[i].layers);
        cr_assert(shape.hidden == 5120 && shape.vocab == 50272);
    }
}

Test(models_shapes, unknown_names_list_what_there_is)
{
    struct ss_shape shape;
    cr_assert_eq(ss_shape_synthetic("gpt-5", 1, SS_F16, &shape), SS_NOT_FOUND);
    cr_assert(strstr(ss_status_message(), "gpt-5"));
    for (size_t i = 0; i < sizeof published / sizeof *published; i++)
        cr_assert(strstr(ss_status_message(), published[i].name), "%s", published[i].name);
}

/* The llama3 rule as transformers' _compute_llama3_parameters states it, in double precision. */
static double frequency_of(const struct ss_rope *rope, uint32_t head_dim, uint32_t i)
{
    double frequency = pow((double)rope->theta, -2.0 * i / head_dim);
    if (rope->factor == 1)
        return frequency;
    double original = rope->original_positions, low = (double)rope->low_frequency_factor;
    double high = (double)rope->high_frequency_factor, factor = (double)rope->factor;
    double wavelength = 2 * acos(-1.0) / frequency;
    if (wavelength < original / high)
        return frequency;
    if (wavelength > original / low)
        return frequency / factor;
    double smooth = (original / wavelength - low) / (high - low);
    return (1 - smooth) * frequency / factor + smooth * frequency;
}

static int check_frequencies(const char *changes, uint32_t head_dim)
{
    float found[128];
    struct ss_shape shape = accept_changed(llama_config, changes);
    int blended = 0;
    shape.head_dim = head_dim;
    ss_rope_frequencies(&shape, found);
    for (uint32_t i = 0; i < head_dim / 2; i++) {
        double right = frequency_of(&shape.rope, head_dim, i);
        double plain = pow((double)shape.rope.theta, -2.0 * i / head_dim);
        cr_assert_float_eq((double)found[i] / right, 1, 2e-6, "%s: pair %u: %g, not %g", changes, i,
                           (double)found[i], right);
        blended += right < plain * 0.999 && right > plain / (double)shape.rope.factor * 1.001;
    }
    return blended;
}

Test(models_shapes, rotary_frequencies)
{
    check_frequencies("{}", 12);
    check_frequencies("{'rope_theta': 10000}", 64);
    check_frequencies("{'rope_theta': 1000000}", 128);
    int blended = check_frequencies(
        "{'rope_scaling': {'rope_type': 'llama3', 'factor': 8, 'low_freq_factor': 1,"
        " 'high_freq_factor': 4, 'original_max_position_embeddings': 8192}}",
        128);
    cr_assert_gt(blended, 2, "some wavelengths lie between");
    blended = check_frequencies(
        "{'rope_theta': 10000, 'rope_scaling': {'rope_type': 'llama3', 'factor': 32,"
        " 'low_freq_factor': 1, 'high_freq_factor': 4, 'original_max_position_embeddings': 128}}",
        64);
    cr_assert_gt(blended, 2);
}

/* Settles a shape by a checkpoint with one tensor, called NAME. */
static enum ss_status settle(const char *config, const char *name, const char *dtype,
                             struct ss_shape *shape)
{
    char header[256];
    static const unsigned char data[250 * 96 * 4];
    size_t bytes = 250 * 96 * (strcmp(dtype, "F32") == 0 ? 4 : 2);
    struct ss_checkpoint *checkpoint;
    char *folder = make_folder();
    *shape = accept_changed(config, "{}");
    snprintf(header, sizeof header,
             "{\"%s\":{\"dtype\":\"%s\",\"shape\":[250,96],\"data_offsets\":[0,%zu]}}", name, dtype,
             bytes);
    write_safetensors(folder, "model.safetensors", header, data, bytes);
    cr_assert_eq(ss_checkpoint_open(folder, &checkpoint), SS_OK, "%s", ss_status_message());
    enum ss_status status = ss_shape_settle(shape, checkpoint);
    ss_checkpoint_close(checkpoint);
    remove_folder(folder);
    return status;
}

Test(models_shapes, settled_by_the_checkpoint)
{
    struct ss_shape shape;
    cr_assert_eq(settle(opt_config, "model.decoder.embed_tokens.weight", "F16", &shape), SS_OK);
    cr_assert_str_eq(shape.prefix, "model.");
    cr_assert_eq(shape.dtype, SS_F16);
    cr_assert_eq(settle(opt_config, "decoder.embed_tokens.weight", "F32", &shape), SS_OK);
    cr_assert_str_eq(shape.prefix, "");
    cr_assert_eq(shape.dtype, SS_F32);
    cr_assert_eq(settle(llama_config, "model.embed_tokens.weight", "BF16", &shape), SS_OK);
    cr_assert_str_eq(shape.prefix, "model.");
    cr_assert_eq(shape.dtype, SS_BF16);
    cr_assert_eq(settle(qwen2_config, "embed_tokens.weight", "F16", &shape), SS_OK);
    cr_assert_str_eq(shape.prefix, "");
    cr_assert_eq(settle(llama_config, "transformer.wte.weight", "F16", &shape), SS_NOT_FOUND);
    cr_assert(strstr(ss_status_message(), "embed_tokens.weight"), "%s", ss_status_message());
}

Test(models_shapes, folders_without_a_config)
{
    struct ss_shape shape;
    cr_assert_neq(ss_shape_read("/nonexistent", &shape), SS_OK);
    cr_assert(strstr(ss_status_message(), "/nonexistent/config.json"), "%s", ss_status_message());
}
