/* OPT (Zhang et al., "OPT: Open Pre-trained Transformer Language Models", arXiv 2205.01068), as
 * transformers' OPTForCausalLM runs it: learned positions offset by 2, layer norm before the
 * blocks (after them in the 350m shape), ReLU, optional projections around a narrower embedding. */
#include <math.h>

#include "pipeline/models/config_json.h"
#include "pipeline/models/describe.h"
#include "pipeline/models/graph.h"

#define POSITION_OFFSET 2

enum { EMBED_TOKENS, EMBED_POSITIONS, PROJECT_IN };
enum {
    NORM1_WEIGHT,
    NORM1_BIAS,
    QKV_WEIGHT,
    QKV_BIAS,
    OUT_WEIGHT,
    OUT_BIAS,
    NORM2_WEIGHT,
    NORM2_BIAS,
    FC1_WEIGHT,
    FC1_BIAS,
    FC2_WEIGHT,
    FC2_BIAS,
};
enum { FINAL_WEIGHT, FINAL_BIAS, PROJECT_OUT, HEAD_TABLE };

static enum ss_status parse_activation(const void *config, const char *where,
                                       struct ss_shape *shape)
{
    static const struct ss_json_choice choices[] = {
        {"relu", SS_ACTIVATION_RELU}, {"gelu", SS_ACTIVATION_GELU}, {0, 0}};
    int activation;
    enum ss_status status =
        ss_json_choice(config, where, "activation_function", choices, "relu", &activation);
    if (!status)
        shape->activation = (enum ss_activation)activation;
    return status;
}

static enum ss_status parse(const void *config, const char *where, struct ss_shape *shape)
{
    bool removed = false, bias = true;
    shape->norm_epsilon = 1e-5f;
    const struct ss_json_key keys[] = {
        SS_JSON_U32("hidden_size", &shape->hidden, 0),
        SS_JSON_U32("num_hidden_layers", &shape->layers, 0),
        SS_JSON_U32("num_attention_heads", &shape->heads, 0),
        SS_JSON_U32("ffn_dim", &shape->ffn, 0),
        SS_JSON_U32("vocab_size", &shape->vocab, 0),
        SS_JSON_U32("max_position_embeddings", &shape->positions, 0),
        SS_JSON_U32("word_embed_proj_dim", &shape->embedding, "hidden_size"),
        SS_JSON_BOOL("do_layer_norm_before", &shape->norm_first, true),
        SS_JSON_BOOL("layer_norm_elementwise_affine", &shape->norm_affine, true),
        SS_JSON_BOOL("_remove_final_layer_norm", &removed, false),
        SS_JSON_BOOL("enable_bias", &bias, true),
        SS_JSON_BOOL("tie_word_embeddings", &shape->tied, true),
        {0},
    };
    enum ss_status status = ss_json_read(config, where, keys);
    if (!status)
        status = parse_activation(config, where, shape);
    if (status)
        return status;
    shape->kv_heads = shape->heads;
    shape->head_dim = shape->hidden / shape->heads;
    if (shape->head_dim * shape->heads != shape->hidden)
        return ss_fail(SS_INVALID, "%s: hidden_size %u is not a multiple of num_attention_heads %u",
                       where, shape->hidden, shape->heads);
    shape->attention_bias = shape->output_bias = shape->ffn_bias = bias;
    shape->final_norm = shape->norm_first && !removed;
    return SS_OK;
}

static void describe_norm(const struct ss_shape *shape, struct ss_chunk *chunk, const char *name,
                          int layer)
{
    const char *suffixes[] = {"weight", "bias"};
    for (int i = 0; i < 2; i++) {
        if (!shape->norm_affine)
            ss_describe_none(chunk);
        else if (layer < 0)
            ss_describe_whole(chunk, shape, 1, shape->hidden, "%sdecoder.%s.%s", shape->prefix,
                              name, suffixes[i]);
        else
            ss_describe_whole(chunk, shape, 1, shape->hidden, "%sdecoder.layers.%d.%s.%s",
                              shape->prefix, layer, name, suffixes[i]);
    }
}

static void describe_embedding(const struct ss_shape *shape, struct ss_cut cut,
                               struct ss_chunk *chunk)
{
    ss_describe_vocab(chunk, shape, cut, shape->embedding, "%sdecoder.embed_tokens.weight",
                      shape->prefix);
    ss_describe_whole(chunk, shape, shape->positions + POSITION_OFFSET, shape->hidden,
                      "%sdecoder.embed_positions.weight", shape->prefix);
    if (shape->embedding != shape->hidden)
        ss_describe_whole(chunk, shape, shape->hidden, shape->embedding,
                          "%sdecoder.project_in.weight", shape->prefix);
    else
        ss_describe_none(chunk);
}

static void describe_qkv(const struct ss_shape *shape, struct ss_cut cut, int layer,
                         struct ss_chunk *chunk)
{
    static const char letters[] = "qkv";
    struct ss_tensor *weight = ss_describe_begin(chunk, shape, shape->hidden);
    for (int i = 0; i < 3; i++)
        ss_describe_rows(weight, cut, shape->hidden, "%sdecoder.layers.%d.self_attn.%c_proj.weight",
                         shape->prefix, layer, letters[i]);
    if (!shape->attention_bias) {
        ss_describe_none(chunk);
        return;
    }
    struct ss_tensor *bias = ss_describe_begin(chunk, shape, 0);
    for (int i = 0; i < 3; i++)
        ss_describe_elements(bias, cut, shape->hidden, "%sdecoder.layers.%d.self_attn.%c_proj.bias",
                             shape->prefix, layer, letters[i]);
}

static void describe_layer(const struct ss_shape *shape, struct ss_cut cut, int layer,
                           struct ss_chunk *chunk)
{
    const char *p = shape->prefix;
    describe_norm(shape, chunk, "self_attn_layer_norm", layer);
    describe_qkv(shape, cut, layer, chunk);
    ss_describe_columns(chunk, shape, cut, shape->hidden, shape->hidden,
                        "%sdecoder.layers.%d.self_attn.out_proj.weight", p, layer);
    if (shape->output_bias)
        ss_describe_whole(chunk, shape, 1, shape->hidden,
                          "%sdecoder.layers.%d.self_attn.out_proj.bias", p, layer);
    else
        ss_describe_none(chunk);
    describe_norm(shape, chunk, "final_layer_norm", layer);
    ss_describe_rows(ss_describe_begin(chunk, shape, shape->hidden), cut, shape->ffn,
                     "%sdecoder.layers.%d.fc1.weight", p, layer);
    if (shape->ffn_bias)
        ss_describe_elements(ss_describe_begin(chunk, shape, 0), cut, shape->ffn,
                             "%sdecoder.layers.%d.fc1.bias", p, layer);
    else
        ss_describe_none(chunk);
    ss_describe_columns(chunk, shape, cut, shape->hidden, shape->ffn,
                        "%sdecoder.layers.%d.fc2.weight", p, layer);
    if (shape->ffn_bias)
        ss_describe_whole(chunk, shape, 1, shape->hidden, "%sdecoder.layers.%d.fc2.bias", p, layer);
    else
        ss_describe_none(chunk);
}

static void describe_head(const struct ss_shape *shape, struct ss_cut cut, bool tied_here,
                          struct ss_chunk *chunk)
{
    if (shape->final_norm) {
        describe_norm(shape, chunk, "final_layer_norm", -1);
    } else {
        ss_describe_none(chunk);
        ss_describe_none(chunk);
    }
    if (shape->embedding != shape->hidden)
        ss_describe_whole(chunk, shape, shape->embedding, shape->hidden,
                          "%sdecoder.project_out.weight", shape->prefix);
    else
        ss_describe_none(chunk);
    if (tied_here)
        ss_describe_none(chunk);
    else if (shape->tied)
        ss_describe_vocab(chunk, shape, cut, shape->embedding, "%sdecoder.embed_tokens.weight",
                          shape->prefix);
    else
        ss_describe_vocab(chunk, shape, cut, shape->embedding, "lm_head.weight");
}

/* A layer norm of the chunk, whose tensors are WEIGHT and the next. */
struct norm {
    struct ss_weight weight, bias;
    struct ss_norm norm;
};

static const struct ss_norm *norm_of(const struct ss_graph *graph, int weight, struct norm *norm)
{
    norm->norm = (struct ss_norm){.kind = SS_NORM_LAYER,
                                  .weight = ss_graph_weight(graph, weight, &norm->weight),
                                  .bias = ss_graph_weight(graph, weight + 1, &norm->bias),
                                  .epsilon = graph->shape->norm_epsilon};
    return &norm->norm;
}

static enum ss_status apply_norm(struct ss_graph *graph, ss_device_address rows, uint32_t count,
                                 int weight)
{
    struct norm norm;
    norm_of(graph, weight, &norm);
    return graph->ops->table->layer_norm(graph->ops, graph->stream, rows, rows, count,
                                         graph->shape->hidden, norm.norm.weight, norm.norm.bias,
                                         norm.norm.epsilon);
}

static enum ss_status run_embedding(struct ss_graph *graph)
{
    const struct ss_ops_table *ops = graph->ops->table;
    struct ss_weight positions, project;
    bool narrow = ss_graph_weight(graph, PROJECT_IN, &project) != 0;
    enum ss_status status =
        ss_graph_embed(graph, EMBED_TOKENS, narrow ? graph->normed : graph->hidden);
    if (!status && narrow)
        status = ops->linear(graph->ops, graph->stream, graph->hidden, graph->normed,
                             graph->step.rows, &project, 0, SS_ACTIVATION_NONE, false);
    if (!status)
        status = ops->add_positions(graph->ops, graph->stream, &graph->step,
                                    ss_graph_weight(graph, EMBED_POSITIONS, &positions),
                                    POSITION_OFFSET, graph->hidden);
    return status;
}

static enum ss_status run_attention(struct ss_graph *graph, uint32_t layer,
                                    const struct ss_norm *norm)
{
    const struct ss_ops_table *ops = graph->ops->table;
    const struct ss_shape *shape = graph->shape;
    enum ss_status status = ss_graph_dense(graph, graph->qkv, graph->hidden, norm, QKV_WEIGHT,
                                           QKV_BIAS, SS_ACTIVATION_NONE, false);
    if (!status)
        status = ops->attention(graph->ops, graph->stream, &graph->step, &graph->kv, layer,
                                graph->qkv, shape->heads / (uint32_t)graph->cut.tp,
                                1.0f / sqrtf((float)shape->head_dim), graph->attended);
    if (!status)
        status = ss_graph_project(graph, graph->attended, OUT_WEIGHT, OUT_BIAS);
    return status;
}

static enum ss_status run_ffn(struct ss_graph *graph, const struct ss_norm *norm)
{
    enum ss_status status = ss_graph_dense(graph, graph->inner, graph->hidden, norm, FC1_WEIGHT,
                                           FC1_BIAS, graph->shape->activation, false);
    if (!status)
        status = ss_graph_project(graph, graph->inner, FC2_WEIGHT, FC2_BIAS);
    return status;
}

static enum ss_status run_layer(struct ss_graph *graph, uint32_t layer)
{
    bool first = graph->shape->norm_first;
    uint32_t rows = graph->step.rows;
    struct norm norm;
    enum ss_status status =
        run_attention(graph, layer, first ? norm_of(graph, NORM1_WEIGHT, &norm) : 0);
    if (!status && !first)
        status = apply_norm(graph, graph->hidden, rows, NORM1_WEIGHT);
    if (!status)
        status = run_ffn(graph, first ? norm_of(graph, NORM2_WEIGHT, &norm) : 0);
    if (!status && !first)
        status = apply_norm(graph, graph->hidden, rows, NORM2_WEIGHT);
    return status;
}

static enum ss_status run_head(struct ss_graph *graph)
{
    const struct ss_ops_table *ops = graph->ops->table;
    struct ss_weight weight, project;
    struct norm norm;
    uint32_t count = graph->sample_count;
    bool normed = graph->shape->final_norm;
    const struct ss_weight *table = ss_graph_weight(graph, HEAD_TABLE, &weight);
    if (!table)
        table = ss_graph_embedding_table(graph, EMBED_TOKENS, &weight);
    enum ss_status status =
        ops->gather_rows(graph->ops, graph->stream, graph->projected, graph->hidden,
                         graph->sample_rows, count, graph->shape->hidden);
    if (status || !ss_graph_weight(graph, PROJECT_OUT, &project))
        return status ? status
                      : ss_graph_logits(graph, graph->projected,
                                        normed ? norm_of(graph, FINAL_WEIGHT, &norm) : 0, table);
    if (normed)
        status = apply_norm(graph, graph->projected, count, FINAL_WEIGHT);
    if (!status)
        status = ops->linear(graph->ops, graph->stream, graph->normed, graph->projected, count,
                             &project, 0, SS_ACTIVATION_NONE, false);
    return status ? status : ss_graph_logits(graph, graph->normed, 0, table);
}

const struct ss_family ss_family_opt = {
    .model_type = "opt",
    .name = "OPT",
    .parse = parse,
    .describe_embedding = describe_embedding,
    .describe_layer = describe_layer,
    .describe_head = describe_head,
    .run_embedding = run_embedding,
    .run_layer = run_layer,
    .run_head = run_head,
};
