#include "pipeline/comm/host/sum.h"

#include "swap/convert.h"

/* Elements that are added in fp32 at once, in the first-level cache. */
#define BATCH 1024

void ss_sum_in_order(void *out, const void *parts, int part_count, size_t count,
                     enum ss_dtype dtype)
{
    size_t each = ss_dtype_bytes(dtype);
    for (size_t at = 0; at < count; at += BATCH) {
        size_t step = count - at < BATCH ? count - at : BATCH;
        float sum[BATCH], wide[BATCH];
        ss_convert(sum, SS_F32, (const char *)parts + at * each, dtype, step);
        for (int part = 1; part < part_count; part++) {
            size_t begin = (size_t)part * count + at;
            ss_convert(wide, SS_F32, (const char *)parts + begin * each, dtype, step);
            for (size_t i = 0; i < step; i++)
                sum[i] += wide[i];
        }
        ss_convert((char *)out + at * each, dtype, sum, SS_F32, step);
    }
}
