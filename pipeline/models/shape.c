#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/models/config_json.h"
#include "pipeline/models/model.h"
#include "swap/fill.h"

static enum ss_status read_generation(const char *folder, struct ss_shape *shape)
{
    char path[PATH_MAX];
    void *root;
    int count;
    snprintf(path, sizeof path, "%s/generation_config.json", folder);
    if (access(path, F_OK) != 0)
        return SS_OK;
    enum ss_status status = ss_json_open(path, &root);
    if (status)
        return status;
    int32_t ids[SS_EOS_IDS_MAX];
    status = ss_json_ids(root, path, "eos_token_id", SS_EOS_IDS_MAX, ids, &count);
    /* Generation settings win over config.json, as in transformers. */
    if (!status && count > 0) {
        memcpy(shape->eos, ids, (size_t)count * sizeof *ids);
        shape->eos_count = count;
    }
    ss_json_close(root);
    return status;
}

static enum ss_status read_config(const void *root, const char *path, struct ss_shape *shape)
{
    const char *type;
    enum ss_status status = ss_json_text(root, path, "model_type", &type);
    if (status)
        return status;
    if (!type)
        return ss_fail(SS_INVALID, "%s: model_type is missing", path);
    shape->family = ss_family_find(type);
    if (!shape->family)
        return ss_fail(SS_UNSUPPORTED, "%s: model_type %s is not supported; these are: %s", path,
                       type, ss_family_names());
    if (ss_json_has(root, "quantization_config"))
        return ss_fail(SS_UNSUPPORTED,
                       "%s: quantization_config: quantised weights are not "
                       "supported; F32, F16 and BF16 are",
                       path);
    status = shape->family->parse(root, path, shape);
    if (!status)
        status =
            ss_json_ids(root, path, "eos_token_id", SS_EOS_IDS_MAX, shape->eos, &shape->eos_count);
    return status;
}

enum ss_status ss_shape_read(const char *folder, struct ss_shape *out)
{
    char path[PATH_MAX];
    struct ss_shape shape = {0};
    void *root;
    snprintf(path, sizeof path, "%s/config.json", folder);
    enum ss_status status = ss_json_open(path, &root);
    if (status)
        return status;
    status = read_config(root, path, &shape);
    ss_json_close(root);
    if (!status)
        status = read_generation(folder, &shape);
    if (!status)
        *out = shape;
    return status;
}

enum ss_status ss_shape_settle(struct ss_shape *shape, const struct ss_checkpoint *checkpoint)
{
    static const char *const prefixes[] = {"model.", ""};
    struct ss_chunk chunk = {0};
    enum ss_status status = SS_OK;
    /* The embedding table is the one tensor that every checkpoint of a family has. */
    for (int i = 0; i < 2; i++) {
        struct ss_shape tried = *shape;
        enum ss_dtype dtype;
        uint32_t rows, columns;
        snprintf(tried.prefix, sizeof tried.prefix, "%s", prefixes[i]);
        chunk.tensor_count = 0;
        shape->family->describe_embedding(&tried, (struct ss_cut){.tp = 1}, &chunk);
        status =
            ss_checkpoint_find(checkpoint, chunk.tensors[0].parts[0].name, &dtype, &rows, &columns);
        if (status == SS_NOT_FOUND && i == 0)
            continue;
        if (status)
            return status;
        tried.dtype = dtype;
        *shape = tried;
        return SS_OK;
    }
    return status;
}
