/* Llama 2 and 3 (Touvron et al., arXiv 2307.09288; "The Llama 3 Herd of Models", arXiv 2407.21783),
 * as transformers' LlamaForCausalLM runs it. */
#include "pipeline/models/llama.h"

#include <math.h>

#include "pipeline/models/config_json.h"
#include "pipeline/models/describe.h"
#include "pipeline/models/graph.h"
#include "pipeline/models/rope.h"

enum { EMBED_TOKENS };
enum {
    NORM1,
    QKV_WEIGHT,
    QKV_BIAS,
    OUT_WEIGHT,
    OUT_BIAS,
    NORM2,
    GATE_UP_WEIGHT,
    GATE_UP_BIAS,
    DOWN_WEIGHT,
    DOWN_BIAS,
};
enum { FINAL_NORM, HEAD_TABLE };

enum ss_status ss_llama_parse_shared(const void *config, const char *where, struct ss_shape *shape)
{
    static const struct ss_json_choice activations[] = {{"silu", 0}, {0, 0}};
    int activation;
    const struct ss_json_key keys[] = {
        SS_JSON_U32("hidden_size", &shape->hidden, 0),
        SS_JSON_U32("num_hidden_layers", &shape->layers, 0),
        SS_JSON_U32("num_attention_heads", &shape->heads, 0),
        SS_JSON_U32("num_key_value_heads", &shape->kv_heads, "num_attention_heads"),
        SS_JSON_U32("intermediate_size", &shape->ffn, 0),
        SS_JSON_U32("vocab_size", &shape->vocab, 0),
        SS_JSON_U32("max_position_embeddings", &shape->positions, 0),
        SS_JSON_F32_OR("rms_norm_eps", &shape->norm_epsilon, 1e-6),
        SS_JSON_BOOL("tie_word_embeddings", &shape->tied, false),
        {0},
    };
    enum ss_status status = ss_json_read(config, where, keys);
    if (!status)
        status = ss_json_choice(config, where, "hidden_act", activations, "silu", &activation);
    if (status)
        return status;
    const uint32_t equal_share = shape->hidden / shape->heads;
    const struct ss_json_key head_dim[] = {
        SS_JSON_U32_OR("head_dim", &shape->head_dim, equal_share), {0}};
    status = ss_json_read(config, where, head_dim);
    if (status)
        return status;
    if (!ss_json_has(config, "head_dim") && shape->hidden % shape->heads)
        return ss_fail(SS_INVALID, "%s: hidden_size %u is not a multiple of num_attention_heads %u",
                       where, shape->hidden, shape->heads);
    if (shape->heads % shape->kv_heads)
        return ss_fail(SS_INVALID,
                       "%s: num_attention_heads %u is not a multiple of num_key_value_heads %u",
                       where, shape->heads, shape->kv_heads);
    if (shape->head_dim % 2)
        return ss_fail(SS_INVALID, "%s: head_dim %u is odd: rotary positions need pairs", where,
                       shape->head_dim);
    shape->embedding = shape->hidden;
    shape->norm_first = shape->norm_affine = shape->final_norm = true;
    return ss_rope_parse(config, where, shape);
}

static enum ss_status parse(const void *config, const char *where, struct ss_shape *shape)
{
    enum ss_status status = ss_llama_parse_shared(config, where, shape);
    if (status)
        return status;
    const struct ss_json_key keys[] = {
        SS_JSON_BOOL("attention_bias", &shape->attention_bias, false),
        SS_JSON_BOOL("mlp_bias", &shape->ffn_bias, false),
        {0},
    };
    status = ss_json_read(config, where, keys);
    shape->output_bias = shape->attention_bias;
    return status;
}

void ss_llama_describe_embedding(const struct ss_shape *shape, struct ss_cut cut,
                                 struct ss_chunk *chunk)
{
    ss_describe_vocab(chunk, shape, cut, shape->hidden, "%sembed_tokens.weight", shape->prefix);
}

static void describe_qkv(const struct ss_shape *shape, struct ss_cut cut, int layer,
                         struct ss_chunk *chunk)
{
    static const char letters[] = "qkv";
    const uint32_t rows[] = {shape->heads * shape->head_dim, shape->kv_heads * shape->head_dim,
                             shape->kv_heads * shape->head_dim};
    struct ss_tensor *weight = ss_describe_begin(chunk, shape, shape->hidden);
    for (int i = 0; i < 3; i++)
        ss_describe_rows(weight, cut, rows[i], "%slayers.%d.self_attn.%c_proj.weight",
                         shape->prefix, layer, letters[i]);
    if (!shape->attention_bias) {
        ss_describe_none(chunk);
        return;
    }
    struct ss_tensor *bias = ss_describe_begin(chunk, shape, 0);
    for (int i = 0; i < 3; i++)
        ss_describe_elements(bias, cut, rows[i], "%slayers.%d.self_attn.%c_proj.bias",
                             shape->prefix, layer, letters[i]);
}

static void describe_gated(const struct ss_shape *shape, struct ss_cut cut, int layer,
                           struct ss_chunk *chunk)
{
    static const char *const names[] = {"gate", "up"};
    struct ss_tensor *weight = ss_describe_begin(chunk, shape, shape->hidden);
    for (int i = 0; i < 2; i++)
        ss_describe_rows(weight, cut, shape->ffn, "%slayers.%d.mlp.%s_proj.weight", shape->prefix,
                         layer, names[i]);
    if (!shape->ffn_bias) {
        ss_describe_none(chunk);
        return;
    }
    struct ss_tensor *bias = ss_describe_begin(chunk, shape, 0);
    for (int i = 0; i < 2; i++)
        ss_describe_elements(bias, cut, shape->ffn, "%slayers.%d.mlp.%s_proj.bias", shape->prefix,
                             layer, names[i]);
}

void ss_llama_describe_layer(const struct ss_shape *shape, struct ss_cut cut, int layer,
                             struct ss_chunk *chunk)
{
    const char *p = shape->prefix;
    ss_describe_whole(chunk, shape, 1, shape->hidden, "%slayers.%d.input_layernorm.weight", p,
                      layer);
    describe_qkv(shape, cut, layer, chunk);
    ss_describe_columns(chunk, shape, cut, shape->hidden, shape->heads * shape->head_dim,
                        "%slayers.%d.self_attn.o_proj.weight", p, layer);
    if (shape->output_bias)
        ss_describe_whole(chunk, shape, 1, shape->hidden, "%slayers.%d.self_attn.o_proj.bias", p,
                          layer);
    else
        ss_describe_none(chunk);
    ss_describe_whole(chunk, shape, 1, shape->hidden, "%slayers.%d.post_attention_layernorm.weight",
                      p, layer);
    describe_gated(shape, cut, layer, chunk);
    ss_describe_columns(chunk, shape, cut, shape->hidden, shape->ffn,
                        "%slayers.%d.mlp.down_proj.weight", p, layer);
    if (shape->ffn_bias)
        ss_describe_whole(chunk, shape, 1, shape->hidden, "%slayers.%d.mlp.down_proj.bias", p,
                          layer);
    else
        ss_describe_none(chunk);
}

void ss_llama_describe_head(const struct ss_shape *shape, struct ss_cut cut, bool tied_here,
                            struct ss_chunk *chunk)
{
    ss_describe_whole(chunk, shape, 1, shape->hidden, "%snorm.weight", shape->prefix);
    if (tied_here)
        ss_describe_none(chunk);
    else if (shape->tied)
        ss_llama_describe_embedding(shape, cut, chunk);
    else
        ss_describe_vocab(chunk, shape, cut, shape->hidden, "lm_head.weight");
}

enum ss_status ss_llama_run_embedding(struct ss_graph *graph)
{
    return ss_graph_embed(graph, EMBED_TOKENS, graph->hidden);
}

static struct ss_norm norm_of(const struct ss_graph *graph, int index, struct ss_weight *weight)
{
    return (struct ss_norm){.kind = SS_NORM_RMS,
                            .weight = ss_graph_weight(graph, index, weight),
                            .epsilon = graph->shape->norm_epsilon};
}

static enum ss_status run_attention(struct ss_graph *graph, uint32_t layer)
{
    const struct ss_ops_table *ops = graph->ops->table;
    const struct ss_shape *shape = graph->shape;
    uint32_t tp = (uint32_t)graph->cut.tp;
    struct ss_weight weight;
    const struct ss_norm norm = norm_of(graph, NORM1, &weight);
    enum ss_status status = ss_graph_dense_unfinished(graph, &norm, QKV_WEIGHT, QKV_BIAS);
    if (!status)
        status = ops->rotate(graph->ops, graph->stream, &graph->step, graph->qkv, graph->inner,
                             shape->heads / tp, shape->kv_heads / tp, shape->head_dim,
                             graph->frequencies);
    if (!status)
        status = ops->attention(graph->ops, graph->stream, &graph->step, &graph->kv, layer,
                                graph->qkv, shape->heads / tp, 1.0f / sqrtf((float)shape->head_dim),
                                graph->attended);
    if (!status)
        status = ss_graph_project(graph, graph->attended, OUT_WEIGHT, OUT_BIAS);
    return status;
}

static enum ss_status run_ffn(struct ss_graph *graph)
{
    struct ss_weight weight;
    const struct ss_norm norm = norm_of(graph, NORM2, &weight);
    enum ss_status status = ss_graph_dense(graph, graph->gated, graph->hidden, &norm,
                                           GATE_UP_WEIGHT, GATE_UP_BIAS, SS_ACTIVATION_NONE, true);
    if (!status)
        status = ss_graph_project(graph, graph->gated, DOWN_WEIGHT, DOWN_BIAS);
    return status;
}

enum ss_status ss_llama_run_layer(struct ss_graph *graph, uint32_t layer_in_stage)
{
    enum ss_status status = run_attention(graph, layer_in_stage);
    return status ? status : run_ffn(graph);
}

enum ss_status ss_llama_run_head(struct ss_graph *graph)
{
    struct ss_weight weight, norm_weight;
    const struct ss_norm norm = norm_of(graph, FINAL_NORM, &norm_weight);
    enum ss_status status = graph->ops->table->gather_rows(
        graph->ops, graph->stream, graph->projected, graph->hidden, graph->sample_rows,
        graph->sample_count, graph->shape->hidden);
    const struct ss_weight *table = ss_graph_weight(graph, HEAD_TABLE, &weight);
    if (!table)
        table = ss_graph_embedding_table(graph, EMBED_TOKENS, &weight);
    return status ? status : ss_graph_logits(graph, graph->projected, &norm, table);
}

const struct ss_family ss_family_llama = {
    .model_type = "llama",
    .name = "Llama",
    .parse = parse,
    .describe_embedding = ss_llama_describe_embedding,
    .describe_layer = ss_llama_describe_layer,
    .describe_head = ss_llama_describe_head,
    .run_embedding = ss_llama_run_embedding,
    .run_layer = ss_llama_run_layer,
    .run_head = ss_llama_run_head,
};
