#include "experiments/stepbench/times.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"

enum ss_status times_span(struct ss_link *link, uint64_t begin_ns, uint64_t end_ns, double *seconds)
{
    uint64_t mine[2] = {begin_ns, end_ns}, *all, begin = UINT64_MAX, end = 0;
    enum ss_status status = ss_alloc(&all, (size_t)link->ranks, sizeof mine, "spans");
    if (status)
        return status;
    status = link->table->all_gather(link, mine, sizeof mine, all);
    for (int rank = 0; rank < link->ranks; rank++) {
        begin = all[2 * rank] && all[2 * rank] < begin ? all[2 * rank] : begin;
        end = all[2 * rank + 1] > end ? all[2 * rank + 1] : end;
    }
    ss_free(all);
    if (!status)
        *seconds = (double)(end - begin) / 1e9;
    return status;
}

static int by_value(const void *a, const void *b)
{
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

double times_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}
