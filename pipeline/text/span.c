#include "pipeline/text/span.h"

#include "engine/base/memory.h"

enum ss_status ss_spans_add(struct ss_spans *spans, size_t start, size_t end)
{
    if (spans->count == spans->room) {
        size_t room = spans->room ? 2 * spans->room : 64;
        enum ss_status status = ss_realloc(&spans->at, room, sizeof *spans->at, "text pieces");
        if (status)
            return status;
        spans->room = room;
    }
    spans->at[spans->count++] = (struct ss_span){start, end};
    return SS_OK;
}
