/* Any bytes as a configuration: mistakes or a config, never a crash, a hang or a leak. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/assert.h"
#include "engine/config/read_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct ss_config *config = NULL;
    char *text = NULL;
    size_t text_bytes = 0;
    FILE *stream = open_memstream(&text, &text_bytes);
    enum ss_status status;

    SS_ASSERT(stream != NULL);
    status = ss_config_read_text("fuzz.yaml", "/nonexistent", (const char *)data, bytes, stream,
                                 &config);
    fclose(stream);
    SS_ASSERT((status == SS_OK) == (config != NULL));
    SS_ASSERT((status == SS_OK) == (text_bytes == 0));
    if (status == SS_OK)
        SS_ASSERT(config->model_count > 0 && config->device.kind != NULL);
    ss_config_destroy(config);
    free(text);
    return 0;
}
