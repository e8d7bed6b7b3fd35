/* The walk over an image that both ways of filling it share: parts in place, zeros around them,
 * progress. */
#ifndef SS_SWAP_FILL_WALK_H
#define SS_SWAP_FILL_WALK_H

#include "swap/fill.h"

struct ss_fill_walk {
    const struct ss_image *image;
    unsigned char *base;
    ss_fill_progress *progress; /* may be null */
    void *user;
    size_t reported; /* bytes of the image */

    /* Fills PART of TENSOR at TO, row_count x column_count elements of the tensor's dtype, and says
     * with ss_fill_walk_reached() how far it came, if that takes long. */
    enum ss_status (*part)(struct ss_fill_walk *walk, const struct ss_tensor *tensor,
                           const struct ss_tensor_part *part, void *to);
    void *context; /* of part() */
};

SS_MUST_CHECK enum ss_status ss_fill_walk_run(struct ss_fill_walk *walk);

/* All before AT is filled. */
void ss_fill_walk_reached(struct ss_fill_walk *walk, const void *at);

#endif
