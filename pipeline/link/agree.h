/* What the ranks of a link settle together at start and stop. */
#ifndef SS_PIPELINE_LINK_AGREE_H
#define SS_PIPELINE_LINK_AGREE_H

#include "pipeline/link/link.h"

/* All ranks call it with their own STATUS. SS_OK only if all were; else each rank fails, with a
 * message that joins what all of them said. A rank that failed alone and went on would meet the
 * others in another collective. */
SS_MUST_CHECK enum ss_status ss_agree(struct ss_link *link, enum ss_status status);

/* How many ranks of lower number share this rank's node: which of its GPUs is this rank's. */
int ss_link_place(struct ss_link *link);

#endif
