/* Qwen2 ("Qwen2 Technical Report", arXiv 2407.10671), as transformers' Qwen2ForCausalLM runs it:
 * Llama's build with biases on q, k and v. */
#include <jansson.h>
#include <string.h>

#include "pipeline/models/config_json.h"
#include "pipeline/models/llama.h"

/* A window that is never shorter than the context changes nothing; any other is not supported. */
static enum ss_status refuse_windows(const void *config, const char *where,
                                     const struct ss_shape *shape)
{
    bool used;
    uint32_t window;
    const struct ss_json_key keys[] = {
        SS_JSON_BOOL("use_sliding_window", &used, false),
        SS_JSON_U32_OR("sliding_window", &window, shape->positions),
        {0},
    };
    enum ss_status status = ss_json_read(config, where, keys);
    if (status)
        return status;
    if (used && window < shape->positions)
        return ss_fail(SS_UNSUPPORTED,
                       "%s: sliding_window %u is shorter than max_position_embeddings %u: sliding "
                       "windows are not supported",
                       where, window, shape->positions);
    size_t index;
    json_t *type, *types = json_object_get(config, "layer_types");
    if (types && !json_is_null(types) && !json_is_array(types))
        return ss_fail(SS_INVALID, "%s: layer_types: found %s, expected a list of texts", where,
                       json_is_string(types) ? json_string_value(types) : "no list");
    json_array_foreach(types, index, type)
    {
        const char *text = json_string_value(type);
        if (!text || strcmp(text, "full_attention") != 0)
            return ss_fail(SS_UNSUPPORTED,
                           "%s: layer_types[%zu] is %s: only full_attention is supported", where,
                           index, text ? text : "no text");
    }
    return SS_OK;
}

static enum ss_status parse(const void *config, const char *where, struct ss_shape *shape)
{
    enum ss_status status = ss_llama_parse_shared(config, where, shape);
    shape->attention_bias = true;
    if (!status)
        status = refuse_windows(config, where, shape);
    return status;
}

const struct ss_family ss_family_qwen2 = {
    .model_type = "qwen2",
    .name = "Qwen2",
    .parse = parse,
    .describe_embedding = ss_llama_describe_embedding,
    .describe_layer = ss_llama_describe_layer,
    .describe_head = ss_llama_describe_head,
    .run_embedding = ss_llama_run_embedding,
    .run_layer = ss_llama_run_layer,
    .run_head = ss_llama_run_head,
};
