/* libFuzzer: any bytes as a safetensors file. What is accepted must keep the header's rules. */
#include <string.h>

#include "engine/base/assert.h"
#include "swap/checkpoint/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const uint8_t none[SS_SAFETENSORS_PREFIX_BYTES];
    struct ss_safetensors *header;
    uint64_t header_bytes = 0, covered = 0;
    const uint8_t *prefix = bytes < sizeof none ? none : data;
    if (ss_safetensors_length("fuzz", prefix, bytes, &header_bytes) != SS_OK)
        return 0;
    SS_ASSERT(header_bytes <= bytes - sizeof none);
    if (ss_safetensors_open("fuzz", data + sizeof none, header_bytes, bytes, &header) != SS_OK)
        return 0;
    for (size_t i = 0; i < header->count; i++) {
        const struct ss_safetensors_tensor *tensor = &header->tensors[i];
        SS_ASSERT(tensor->begin >= sizeof none + header_bytes && tensor->begin <= bytes);
        SS_ASSERT(tensor->bytes <= bytes - tensor->begin);
        SS_ASSERT(ss_safetensors_find(header, tensor->name) == tensor);
        SS_ASSERT(i == 0 || strcmp(tensor[-1].name, tensor->name) < 0);
        covered += tensor->bytes;
    }
    SS_ASSERT(covered == bytes - sizeof none - header_bytes);
    ss_safetensors_close(header);
    return 0;
}
