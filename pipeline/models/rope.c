#include "pipeline/models/rope.h"

#include <math.h>
#include <string.h>

#include "pipeline/models/config_json.h"

/* Newer files say rope_type, older ones type. */
static enum ss_status read_type(const void *scaling, const char *where, const char **out)
{
    const char *type = 0;
    enum ss_status status = ss_json_text(scaling, where, "rope_type", &type);
    if (!status && !type)
        status = ss_json_text(scaling, where, "type", &type);
    if (!status)
        *out = type;
    return status;
}

static enum ss_status parse_scaling(const void *scaling, const char *where, struct ss_shape *shape)
{
    const char *type;
    float factor;
    const struct ss_json_key untyped[] = {SS_JSON_F32_OR("factor", &factor, 1), {0}};
    enum ss_status status = read_type(scaling, where, &type);
    if (!status && !type) {
        status = ss_json_read(scaling, where, untyped);
        if (!status && factor != 1)
            status = ss_fail(SS_INVALID, "%s: rope_scaling: factor %g without a rope_type", where,
                             (double)factor);
    }
    if (status || !type || strcmp(type, "default") == 0)
        return status;
    if (strcmp(type, "llama3") != 0)
        return ss_fail(SS_UNSUPPORTED,
                       "%s: rope_scaling: type %s is not supported; default and llama3 are", where,
                       type);
    const struct ss_json_key keys[] = {
        SS_JSON_F32_OR("factor", &shape->rope.factor, 8),
        SS_JSON_F32_OR("low_freq_factor", &shape->rope.low_frequency_factor, 1),
        SS_JSON_F32_OR("high_freq_factor", &shape->rope.high_frequency_factor, 4),
        SS_JSON_U32_OR("original_max_position_embeddings", &shape->rope.original_positions, 8192),
        {0},
    };
    status = ss_json_read(scaling, where, keys);
    if (!status && (!(shape->rope.factor >= 1) || !(shape->rope.low_frequency_factor > 0) ||
                    !(shape->rope.high_frequency_factor > shape->rope.low_frequency_factor)))
        return ss_fail(SS_INVALID,
                       "%s: rope_scaling: found factor %g, low_freq_factor %g, high_freq_factor "
                       "%g; expected factor >= 1 and 0 < low < high",
                       where, (double)shape->rope.factor, (double)shape->rope.low_frequency_factor,
                       (double)shape->rope.high_frequency_factor);
    return status;
}

enum ss_status ss_rope_parse(const void *config, const char *where, struct ss_shape *shape)
{
    float partial;
    const void *parameters = 0, *scaling = 0;
    const struct ss_json_key keys[] = {SS_JSON_F32_OR("rope_theta", &shape->rope.theta, 10000),
                                       SS_JSON_F32_OR("partial_rotary_factor", &partial, 1),
                                       {0}};
    shape->rope.factor = 1;
    /* Newer files keep theta beside the scaling, older ones beside hidden_size. */
    enum ss_status status = ss_json_read(config, where, keys);
    if (!status)
        status = ss_json_object(config, where, "rope_parameters", &parameters);
    if (!status)
        status = ss_json_object(config, where, "rope_scaling", &scaling);
    if (!status && parameters) {
        const struct ss_json_key inner[] = {
            SS_JSON_F32_OR("rope_theta", &shape->rope.theta, shape->rope.theta),
            SS_JSON_F32_OR("partial_rotary_factor", &partial, partial),
            {0}};
        status = ss_json_read(parameters, where, inner);
    }
    if (status)
        return status;
    if (partial != 1)
        return ss_fail(SS_UNSUPPORTED, "%s: partial_rotary_factor %g is not supported; only 1 is",
                       where, (double)partial);
    if (!(shape->rope.theta > 0))
        return ss_fail(SS_INVALID, "%s: rope_theta: found %g, expected a number above 0", where,
                       (double)shape->rope.theta);
    /* A file that says both is a new one that kept an old key: transformers takes the old one. */
    if (!scaling)
        scaling = parameters;
    return scaling ? parse_scaling(scaling, where, shape) : SS_OK;
}

/* The llama3 rule: long wavelengths are divided by FACTOR, short ones kept, those between blended
 * (transformers, modeling_rope_utils.py, _compute_llama3_parameters). */
void ss_rope_frequencies(const struct ss_shape *shape, float *out)
{
    const struct ss_rope *rope = &shape->rope;
    for (uint32_t i = 0; i < shape->head_dim / 2; i++) {
        float frequency = 1.0f / powf(rope->theta, (float)(2 * i) / (float)shape->head_dim);
        if (rope->factor > 1) {
            float original = (float)rope->original_positions;
            float wavelength = 2 * (float)M_PI / frequency;
            float scaled = frequency / rope->factor;
            if (wavelength > original / rope->low_frequency_factor) {
                frequency = scaled;
            } else if (wavelength >= original / rope->high_frequency_factor) {
                float smooth = (original / wavelength - rope->low_frequency_factor) /
                               (rope->high_frequency_factor - rope->low_frequency_factor);
                frequency = (1 - smooth) * scaled + smooth * frequency;
            }
        }
        out[i] = frequency;
    }
}
