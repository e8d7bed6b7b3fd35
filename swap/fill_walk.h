/* The walk over an image that both ways of filling it share: chunks shared out to threads, parts in
 * place, zeros around them, progress. */
#ifndef SS_SWAP_FILL_WALK_H
#define SS_SWAP_FILL_WALK_H

#include "swap/fill.h"

/* One thread's walk over one chunk after another. */
struct ss_fill_walk;

struct ss_fill_way {
    /* Fills PART of TENSOR at TO, row_count x column_count elements of the tensor's dtype, and says
     * with ss_fill_walk_reached() how far it came, if that takes long. By several threads at once,
     * for chunks of their own. */
    enum ss_status (*part)(struct ss_fill_walk *walk, const struct ss_tensor *tensor,
                           const struct ss_tensor_part *part, void *to);
    const void *context; /* of part(); nobody writes it */
    size_t buffer_bytes; /* each thread has so many for part() */
};

struct ss_fill_walk {
    const struct ss_fill_way *way;
    unsigned char *buffer;
    /* The walk's own. */
    struct ss_fill_shared *shared;
    unsigned char *reported; /* all before it, in this chunk */
};

/* Fills IMAGE at BASE by THREADS threads (1 at least). The first chunk's failure that was met is
 * returned, with its message, and ends the others' walks at their next chunk. */
SS_MUST_CHECK enum ss_status ss_fill_walk_run(const struct ss_fill_way *way,
                                              const struct ss_image *image, void *base, int threads,
                                              ss_fill_progress *progress, void *user);

/* All of the chunk before AT is filled. */
void ss_fill_walk_reached(struct ss_fill_walk *walk, const void *at);

#endif
