/* Published shapes, for measuring without a checkpoint. Sources: Zhang et al., arXiv 2205.01068,
 * table 1; the config.json of each Llama 3 and Qwen2 release. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/models/model.h"

struct published {
    const char *name, *type;
    uint32_t layers, hidden, heads, kv_heads, ffn, vocab, positions, embedding;
};

static const struct published shapes[] = {
    {"opt-125m", "opt", 12, 768, 12, 12, 3072, 50272, 2048, 768},
    {"opt-350m", "opt", 24, 1024, 16, 16, 4096, 50272, 2048, 512},
    {"opt-1.3b", "opt", 24, 2048, 32, 32, 8192, 50272, 2048, 2048},
    {"opt-2.7b", "opt", 32, 2560, 32, 32, 10240, 50272, 2048, 2560},
    {"opt-6.7b", "opt", 32, 4096, 32, 32, 16384, 50272, 2048, 4096},
    {"opt-13b", "opt", 40, 5120, 40, 40, 20480, 50272, 2048, 5120},
    {"opt-30b", "opt", 48, 7168, 56, 56, 28672, 50272, 2048, 7168},
    {"llama-3-8b", "llama", 32, 4096, 32, 8, 14336, 128256, 8192, 4096},
    {"llama-3-70b", "llama", 80, 8192, 64, 8, 28672, 128256, 8192, 8192},
    {"qwen2-7b", "qwen2", 28, 3584, 28, 4, 18944, 152064, 32768, 3584},
};

#define SHAPE_COUNT (sizeof shapes / sizeof *shapes)

static enum ss_status refuse(const char *name)
{
    char names[512] = "";
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", shapes[i].name);
    }
    return ss_fail(SS_NOT_FOUND, "no synthetic shape is called %s; these are: %s", name, names);
}

enum ss_status ss_shape_synthetic(const char *name, double scale, enum ss_dtype dtype,
                                  struct ss_shape *out)
{
    const struct published *found = 0;
    for (size_t i = 0; i < SHAPE_COUNT && !found; i++)
        if (strcmp(shapes[i].name, name) == 0)
            found = &shapes[i];
    if (!found)
        return refuse(name);
    bool opt = strcmp(found->type, "opt") == 0, qwen2 = strcmp(found->type, "qwen2") == 0;
    bool post_norm = strcmp(name, "opt-350m") == 0;
    double layers = round(scale * found->layers);
    *out = (struct ss_shape){
        .family = ss_family_find(found->type),
        .layers = layers < 1 ? 1 : (uint32_t)layers,
        .hidden = found->hidden,
        .heads = found->heads,
        .kv_heads = found->kv_heads,
        .head_dim = found->hidden / found->heads,
        .ffn = found->ffn,
        .vocab = found->vocab,
        .positions = found->positions,
        .embedding = found->embedding,
        .norm_epsilon = qwen2 ? 1e-6f : 1e-5f,
        .activation = opt ? SS_ACTIVATION_RELU : SS_ACTIVATION_NONE,
        .tied = opt,
        .attention_bias = opt || qwen2,
        .output_bias = opt,
        .ffn_bias = opt,
        .norm_first = !post_norm,
        .norm_affine = true,
        .final_norm = !post_norm,
        .rope = {.theta = qwen2 ? 1e6f : 5e5f, .factor = 1},
        .dtype = dtype,
        .prefix = "model.",
    };
    return SS_OK;
}
