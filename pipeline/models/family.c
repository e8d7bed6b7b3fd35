#include <stdio.h>
#include <string.h>

#include "pipeline/models/model.h"

extern const struct ss_family ss_family_opt, ss_family_llama, ss_family_qwen2;

/* The families there are; a new one is its file and a line here. */
static const struct ss_family *const families[] = {&ss_family_opt, &ss_family_llama,
                                                   &ss_family_qwen2};

#define FAMILY_COUNT (sizeof families / sizeof *families)

const struct ss_family *ss_family_find(const char *model_type)
{
    for (size_t i = 0; i < FAMILY_COUNT; i++)
        if (strcmp(families[i]->model_type, model_type) == 0)
            return families[i];
    return 0;
}

const char *ss_family_names(void)
{
    static _Thread_local char text[128];
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < FAMILY_COUNT && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? ", " : "",
                                 families[i]->model_type);
    return text;
}
