/* Model folders for the tests of the families: a config.json made of a good one and changes. */
#ifndef SS_TESTS_UNIT_MODELS_FOLDER_H
#define SS_TESTS_UNIT_MODELS_FOLDER_H

#include <criterion/criterion.h>
#include <jansson.h>

#include "pipeline/models/model.h"
#include "tests/unit/swap_checkpoint_files.h"

/* Old spellings, as the published files have them. */
static const char llama_config[] =
    "{'model_type': 'llama', 'hidden_size': 96, 'intermediate_size': 160,"
    " 'num_attention_heads': 8, 'num_key_value_heads': 4, 'num_hidden_layers': 3,"
    " 'max_position_embeddings': 128, 'rms_norm_eps': 1e-5, 'rope_theta': 500000.0,"
    " 'vocab_size': 250, 'torch_dtype': 'bfloat16', 'eos_token_id': 7}";
static const char qwen2_config[] =
    "{'model_type': 'qwen2', 'hidden_size': 96, 'intermediate_size': 160,"
    " 'num_attention_heads': 8, 'num_key_value_heads': 2, 'num_hidden_layers': 3,"
    " 'max_position_embeddings': 128, 'vocab_size': 250, 'sliding_window': 64,"
    " 'use_sliding_window': false, 'max_window_layers': 2, 'eos_token_id': [7, 8]}";
static const char opt_config[] =
    "{'model_type': 'opt', 'hidden_size': 96, 'ffn_dim': 160, 'num_attention_heads': 8,"
    " 'num_hidden_layers': 3, 'max_position_embeddings': 128, 'vocab_size': 250,"
    " 'do_layer_norm_before': true, 'word_embed_proj_dim': 96, 'eos_token_id': 2}";

/* JSON of TEXT, whose quotes are single ones. */
static inline json_t *json_of(const char *text)
{
    char *copy = strdup(text);
    json_error_t error;
    for (char *at = copy; at && *at; at++)
        if (*at == '\'')
            *at = '"';
    json_t *json = copy ? json_loads(copy, JSON_DECODE_ANY, &error) : 0;
    cr_assert(json, "%s: %s", text, error.text);
    free(copy);
    return json;
}

/* Reads the shape of a folder with CONFIG, changed by the keys of CHANGES, and GENERATION (null:
 * no such file). A change to 'absent' removes the key. */
static inline enum ss_status read_changed(const char *config, const char *changes,
                                          const char *generation, struct ss_shape *out)
{
    json_t *root = json_of(config), *other = json_of(changes), *value;
    const char *key;
    json_object_foreach(other, key, value)
    {
        const char *text = json_string_value(value);
        if (text && strcmp(text, "absent") == 0)
            json_object_del(root, key);
        else
            json_object_set(root, key, value);
    }
    char *folder = make_folder(), *text = json_dumps(root, 0);
    write_text(folder, "config.json", text);
    if (generation) {
        json_t *settings = json_of(generation);
        char *said = json_dumps(settings, 0);
        write_text(folder, "generation_config.json", said);
        free(said);
        json_decref(settings);
    }
    enum ss_status status = ss_shape_read(folder, out);
    free(text);
    json_decref(root);
    json_decref(other);
    remove_folder(folder);
    return status;
}

static inline struct ss_shape accept_changed(const char *config, const char *changes)
{
    struct ss_shape shape = {0};
    enum ss_status status = read_changed(config, changes, 0, &shape);
    cr_assert_eq(status, SS_OK, "%s: %s", changes, ss_status_message());
    return shape;
}

/* The change is refused with STATUS, in a message that names the file, KEY, and SAID (what was
 * found or would be right). */
static inline void refuse_changed(const char *config, const char *changes, enum ss_status status,
                                  const char *key, const char *said)
{
    struct ss_shape shape;
    memset(&shape, 0x5a, sizeof shape);
    struct ss_shape before = shape;
    enum ss_status got = read_changed(config, changes, 0, &shape);
    const char *message = ss_status_message();
    cr_assert_eq(got, status, "%s: %d %s", changes, (int)got, message);
    cr_assert(strstr(message, "/config.json"), "%s", message);
    cr_assert(strstr(message, key), "%s: no %s in: %s", changes, key, message);
    cr_assert(strstr(message, said), "%s: no %s in: %s", changes, said, message);
    cr_assert_eq(memcmp(&shape, &before, sizeof shape), 0, "out-parameter set on failure");
}

#endif
