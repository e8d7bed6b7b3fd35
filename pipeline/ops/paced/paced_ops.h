/* Operations that take a profile's time instead of computing, for timing with more ranks than
 * cores: linear and attention hold their stream for what a roofline says (Williams, Waterman,
 * Patterson, CACM 52(4), 2009), the rest costs nothing. Activations are counted with two bytes an
 * element, as the modelled accelerator holds them.
 *
 * Activations are never written. Token ids move for real; a sampled token is a function of the
 * sampling's seed and position alone. */
#ifndef SS_PIPELINE_OPS_PACED_PACED_OPS_H
#define SS_PIPELINE_OPS_PACED_PACED_OPS_H

#include "pipeline/ops/ops.h"

/* Borrows DEVICE, a CPU device. SS_INVALID where a rate of the profile is not above zero. */
SS_MUST_CHECK enum ss_status ss_paced_ops_create(struct ss_device *device,
                                                 const struct ss_ops_options *options,
                                                 struct ss_ops **out);

#endif
