/* A progress line for what takes more than a moment: a bar on a terminal, a line every few seconds
 * elsewhere. One thread. */
#ifndef SS_ENGINE_PROGRESS_H
#define SS_ENGINE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ss_progress {
    const char *what;
    size_t total_bytes, done_bytes;
    uint64_t begun_ns, shown_ns;
    bool shown, active;
};

void ss_progress_begin(struct ss_progress *progress, const char *what, size_t total_bytes,
                       bool active);

/* A ss_fill_progress: PROGRESS did BYTES more. */
void ss_progress_add(void *progress, size_t bytes);

/* Says how long it took, where it was shown or took over a second. */
void ss_progress_end(struct ss_progress *progress);

#endif
