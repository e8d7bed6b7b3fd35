#include "swap/image.h"

#include "engine/base/memory.h"

size_t ss_dtype_bytes(enum ss_dtype dtype)
{
    return dtype == SS_F32 ? 4 : 2;
}

const char *ss_dtype_name(enum ss_dtype dtype)
{
    static const char *const names[] = {"F32", "F16", "BF16"};
    return names[dtype];
}

void ss_image_lay_out(struct ss_image *image)
{
    image->bytes = 0;
    for (int c = 0; c < image->chunk_count; c++) {
        struct ss_chunk *chunk = &image->chunks[c];
        chunk->offset = image->bytes;
        chunk->bytes = 0;
        for (int t = 0; t < chunk->tensor_count; t++) {
            struct ss_tensor *tensor = &chunk->tensors[t];
            size_t bytes = (size_t)tensor->rows * tensor->columns * ss_dtype_bytes(tensor->dtype);
            tensor->offset = chunk->bytes;
            chunk->bytes += (bytes + SS_TENSOR_ALIGN - 1) / SS_TENSOR_ALIGN * SS_TENSOR_ALIGN;
        }
        image->bytes += chunk->bytes;
    }
}

void ss_image_release(struct ss_image *image)
{
    ss_free(image->chunks);
    *image = (struct ss_image){0};
}
