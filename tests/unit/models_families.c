/* What each family reads of a config.json, in old and new spellings, and what it refuses. */
#include "tests/unit/models_folder.h"

Test(models_families, llama_as_published)
{
    struct ss_shape shape = accept_changed(llama_config, "{}");
    cr_assert_str_eq(shape.family->model_type, "llama");
    cr_assert(shape.layers == 3 && shape.hidden == 96 && shape.heads == 8 && shape.kv_heads == 4);
    cr_assert(shape.head_dim == 12 && shape.ffn == 160 && shape.vocab == 250);
    cr_assert(shape.positions == 128 && shape.embedding == 96);
    cr_assert_eq(shape.norm_epsilon, 1e-5f);
    cr_assert(!shape.tied && !shape.attention_bias && !shape.output_bias && !shape.ffn_bias);
    cr_assert(shape.norm_first && shape.final_norm);
    cr_assert(shape.rope.theta == 500000 && shape.rope.factor == 1);
    cr_assert(shape.eos_count == 1 && shape.eos[0] == 7);
}

Test(models_families, llama_options)
{
    struct ss_shape shape = accept_changed(
        llama_config, "{'num_key_value_heads': 'absent', 'rms_norm_eps': 'absent',"
                      " 'tie_word_embeddings': true, 'attention_bias': true, 'mlp_bias': true,"
                      " 'head_dim': 20, 'hidden_size': 100, 'eos_token_id': [1, 2, 3]}");
    cr_assert_eq(shape.kv_heads, 8, "without num_key_value_heads every head has its own");
    cr_assert_eq(shape.norm_epsilon, 1e-6f, "transformers' default");
    cr_assert_eq(shape.head_dim, 20, "head_dim wins over hidden_size / heads");
    cr_assert(shape.tied && shape.attention_bias && shape.output_bias && shape.ffn_bias);
    cr_assert(shape.eos_count == 3 && shape.eos[2] == 3);
}

Test(models_families, llama_head_dim_null)
{
    cr_assert_eq(accept_changed(llama_config, "{'head_dim': null}").head_dim, 12);
}

Test(models_families, rope_spellings)
{
    static const char *const same[] = {
        "{'rope_scaling': {'rope_type': 'llama3', 'factor': 32, 'low_freq_factor': 2,"
        " 'high_freq_factor': 5, 'original_max_position_embeddings': 64}}",
        "{'rope_scaling': {'type': 'llama3', 'factor': 32, 'low_freq_factor': 2,"
        " 'high_freq_factor': 5, 'original_max_position_embeddings': 64}}",
        "{'rope_theta': 'absent', 'rope_parameters': {'rope_type': 'llama3', 'factor': 32,"
        " 'rope_theta': 500000, 'low_freq_factor': 2, 'high_freq_factor': 5,"
        " 'original_max_position_embeddings': 64}, 'torch_dtype': 'absent', 'dtype': 'float16'}",
    };
    for (int i = 0; i < 3; i++) {
        struct ss_rope rope = accept_changed(llama_config, same[i]).rope;
        cr_assert_eq(rope.theta, 500000, "%s", same[i]);
        cr_assert_eq(rope.factor, 32, "%s", same[i]);
        cr_assert(rope.low_frequency_factor == 2 && rope.high_frequency_factor == 5);
        cr_assert_eq(rope.original_positions, 64);
    }
    static const char *const plain[] = {
        "{'rope_scaling': null}",
        "{'rope_scaling': {'rope_type': 'default'}}",
        "{'rope_scaling': {'type': 'default'}}",
        "{'rope_parameters': {'rope_type': 'default'}}",
        "{'rope_parameters': {'rope_theta': 500000}}",
    };
    for (int i = 0; i < 5; i++) {
        struct ss_rope rope = accept_changed(llama_config, plain[i]).rope;
        cr_assert(rope.theta == 500000 && rope.factor == 1, "%s", plain[i]);
    }
    cr_assert_eq(accept_changed(llama_config, "{'rope_theta': 'absent'}").rope.theta, 10000);
    cr_assert_eq(accept_changed(llama_config, "{'rope_parameters': {'rope_theta': 7}}").rope.theta,
                 7, "the newer spelling wins");
    cr_assert_eq(accept_changed(llama_config, "{'rope_parameters': {'rope_theta': 7},"
                                              " 'rope_scaling': {'type': 'llama3', 'factor': 2}}")
                     .rope.factor,
                 2, "a file with both loses neither");
}

Test(models_families, qwen2_as_published)
{
    struct ss_shape shape = accept_changed(qwen2_config, "{}");
    cr_assert_str_eq(shape.family->model_type, "qwen2");
    cr_assert(shape.heads == 8 && shape.kv_heads == 2 && shape.head_dim == 12);
    cr_assert(shape.attention_bias && !shape.output_bias && !shape.ffn_bias);
    cr_assert(shape.rope.theta == 10000 && shape.eos_count == 2 && shape.eos[1] == 8);
}

Test(models_families, qwen2_windows_that_change_nothing)
{
    accept_changed(qwen2_config, "{'use_sliding_window': true, 'sliding_window': 128}");
    accept_changed(qwen2_config, "{'use_sliding_window': true, 'sliding_window': null}");
    accept_changed(qwen2_config, "{'use_sliding_window': 'absent', 'sliding_window': 2}");
    accept_changed(qwen2_config, "{'layer_types': ['full_attention', 'full_attention',"
                                 " 'full_attention']}");
}

Test(models_families, opt_as_published)
{
    struct ss_shape shape = accept_changed(opt_config, "{}");
    cr_assert_str_eq(shape.family->model_type, "opt");
    cr_assert(shape.heads == 8 && shape.kv_heads == 8 && shape.head_dim == 12);
    cr_assert(shape.embedding == 96 && shape.ffn == 160 && shape.rope.theta == 0);
    cr_assert(shape.tied && shape.attention_bias && shape.output_bias && shape.ffn_bias);
    cr_assert(shape.norm_first && shape.norm_affine && shape.final_norm);
    cr_assert_eq(shape.activation, SS_ACTIVATION_RELU);
    cr_assert_eq(shape.norm_epsilon, 1e-5f);
}

Test(models_families, opt_options)
{
    struct ss_shape shape =
        accept_changed(opt_config, "{'do_layer_norm_before': false, 'word_embed_proj_dim': 48,"
                                   " 'enable_bias': false, 'layer_norm_elementwise_affine': false,"
                                   " 'tie_word_embeddings': false, 'activation_function': 'gelu'}");
    cr_assert(!shape.norm_first && !shape.final_norm, "the 350m shape has no last norm");
    cr_assert_eq(shape.embedding, 48);
    cr_assert(!shape.attention_bias && !shape.output_bias && !shape.ffn_bias);
    cr_assert(!shape.norm_affine && !shape.tied);
    cr_assert_eq(shape.activation, SS_ACTIVATION_GELU);
    shape = accept_changed(opt_config, "{'_remove_final_layer_norm': true,"
                                       " 'word_embed_proj_dim': 'absent'}");
    cr_assert(shape.norm_first && !shape.final_norm && shape.embedding == 96);
}

Test(models_families, generation_settings_win)
{
    struct ss_shape shape;
    cr_assert_eq(read_changed(llama_config, "{}", "{'eos_token_id': [11, 12]}", &shape), SS_OK);
    cr_assert(shape.eos_count == 2 && shape.eos[0] == 11 && shape.eos[1] == 12);
    cr_assert_eq(read_changed(qwen2_config, "{}", "{'eos_token_id': 9}", &shape), SS_OK);
    cr_assert(shape.eos_count == 1 && shape.eos[0] == 9);
    cr_assert_eq(read_changed(qwen2_config, "{}", "{'temperature': 0.5}", &shape), SS_OK);
    cr_assert(shape.eos_count == 2 && shape.eos[0] == 7, "no eos there: config.json's stands");
    cr_assert_eq(read_changed(llama_config, "{'eos_token_id': 'absent'}", 0, &shape), SS_OK);
    cr_assert_eq(shape.eos_count, 0);
    cr_assert_eq(read_changed(llama_config, "{}", "{'eos_token_id': 'x'}", &shape), SS_INVALID);
    cr_assert(strstr(ss_status_message(), "/generation_config.json: eos_token_id"), "%s",
              ss_status_message());
}

struct refusal {
    const char *config, *changes;
    enum ss_status status;
    const char *key, *said;
};

static void refuse_all(const struct refusal *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        refuse_changed(cases[i].config, cases[i].changes, cases[i].status, cases[i].key,
                       cases[i].said);
}

Test(models_families, what_is_not_supported_is_named)
{
    static const struct refusal cases[] = {
        {llama_config, "{'model_type': 'mamba'}", SS_UNSUPPORTED, "model_type mamba",
         "opt, llama, qwen2"},
        {llama_config, "{'quantization_config': {'quant_method': 'gptq'}}", SS_UNSUPPORTED,
         "quantization_config", "BF16"},
        {llama_config, "{'rope_scaling': {'type': 'linear', 'factor': 2}}", SS_UNSUPPORTED,
         "rope_scaling", "linear"},
        {llama_config, "{'rope_parameters': {'rope_type': 'yarn', 'factor': 4}}", SS_UNSUPPORTED,
         "rope_", "yarn"},
        {qwen2_config, "{'rope_scaling': {'rope_type': 'dynamic', 'factor': 4}}", SS_UNSUPPORTED,
         "rope_scaling", "dynamic"},
        {llama_config, "{'partial_rotary_factor': 0.5}", SS_UNSUPPORTED, "partial_rotary_factor",
         "0.5"},
        {llama_config, "{'rope_parameters': {'partial_rotary_factor': 0.25}}", SS_UNSUPPORTED,
         "partial_rotary_factor", "0.25"},
        {qwen2_config, "{'use_sliding_window': true}", SS_UNSUPPORTED, "sliding_window 64",
         "max_position_embeddings 128"},
        {qwen2_config, "{'layer_types': ['full_attention', 'sliding_attention']}", SS_UNSUPPORTED,
         "layer_types[1]", "sliding_attention"},
        {qwen2_config, "{'layer_types': [3]}", SS_UNSUPPORTED, "layer_types[0]", "no text"},
        {llama_config, "{'eos_token_id': [1,2,3,4,5,6,7,8,9]}", SS_UNSUPPORTED, "eos_token_id",
         "9 ids, at most 8"},
    };
    refuse_all(cases, sizeof cases / sizeof *cases);
}

Test(models_families, what_is_wrong_is_named)
{
    static const struct refusal cases[] = {
        {llama_config, "{'model_type': 'absent'}", SS_INVALID, "model_type", "missing"},
        {llama_config, "{'model_type': 4}", SS_INVALID, "model_type", "found 4"},
        {llama_config, "{'hidden_act': 'gelu'}", SS_INVALID, "hidden_act", "silu"},
        {opt_config, "{'activation_function': 'silu'}", SS_INVALID, "activation_function",
         "relu gelu"},
        {llama_config, "{'hidden_size': 'absent'}", SS_INVALID, "hidden_size", "missing"},
        {opt_config, "{'ffn_dim': 'absent'}", SS_INVALID, "ffn_dim", "missing"},
        {qwen2_config, "{'vocab_size': 0}", SS_INVALID, "vocab_size", "found 0"},
        {llama_config, "{'head_dim': 13}", SS_INVALID, "head_dim 13", "odd"},
        {llama_config, "{'hidden_size': 104}", SS_INVALID, "head_dim 13", "odd"},
        {llama_config, "{'hidden_size': 100}", SS_INVALID, "hidden_size 100",
         "num_attention_heads 8"},
        {llama_config, "{'hidden_size': 4}", SS_INVALID, "hidden_size 4", "num_attention_heads 8"},
        {opt_config, "{'hidden_size': 100}", SS_INVALID, "hidden_size 100",
         "num_attention_heads 8"},
        {llama_config, "{'num_key_value_heads': 3}", SS_INVALID, "num_attention_heads 8",
         "num_key_value_heads 3"},
        {llama_config, "{'rope_theta': 0}", SS_INVALID, "rope_theta", "found 0"},
        {llama_config, "{'rope_theta': '1e4'}", SS_INVALID, "rope_theta", "a number"},
        {llama_config, "{'rope_scaling': {'rope_type': 'llama3', 'factor': 0.5}}", SS_INVALID,
         "rope_scaling", "factor 0.5"},
        {llama_config,
         "{'rope_scaling': {'rope_type': 'llama3', 'low_freq_factor': 4, 'high_freq_factor': 4}}",
         SS_INVALID, "rope_scaling", "low_freq_factor 4"},
        {llama_config, "{'rope_scaling': 'linear'}", SS_INVALID, "rope_scaling", "linear"},
        {llama_config, "{'rope_parameters': [1]}", SS_INVALID, "rope_parameters", "[1]"},
        {llama_config, "{'rope_scaling': {'factor': 4}}", SS_INVALID, "rope_scaling", "rope_type"},
        {llama_config, "{'rope_scaling': {'rope_type': 3}}", SS_INVALID, "rope_type", "found 3"},
        {llama_config, "{'quantization_config': 'gptq'}", SS_UNSUPPORTED, "quantization_config",
         "not supported"},
        {qwen2_config, "{'layer_types': 'sliding_attention'}", SS_INVALID, "layer_types",
         "sliding_attention"},
        {llama_config, "{'eos_token_id': 'x'}", SS_INVALID, "eos_token_id", "a token id"},
    };
    refuse_all(cases, sizeof cases / sizeof *cases);
}

Test(models_families, are_found_by_name)
{
    cr_assert_null(ss_family_find("Llama"), "names are as config.json spells them");
    cr_assert_null(ss_family_find(""));
    cr_assert_str_eq(ss_family_find("qwen2")->name, "Qwen2");
    cr_assert_str_eq(ss_family_names(), "opt, llama, qwen2");
}
