/* Operations on CUDA devices: cuBLASLt for products, own kernels for the rest.
 *
 * Activations, KV and logits are fp16 ("real") or bf16 ("real-bf16"), one type per instance; sums,
 * norms, softmax and sampling are computed in fp32 or better. Weights of the activations' type are
 * multiplied as they are. Others (fp32, or the other 16-bit type) are right but slower: activations
 * are converted to the weights' type, a product in fp32 comes back, slice by slice. bf16 weights
 * take digits from fp16 activations: such models are best run as "real-bf16".
 *
 * A product's kernel is chosen by cuBLASLt's heuristic from the shape alone, with the rows rounded
 * up to a power of two: no timing, so nothing depends on residency or placement. It does depend on
 * the batch's rows; batch_invariant is false.
 *
 * An instance's calls go to one stream at a time: its work memory is shared by them. */
#ifndef SS_PIPELINE_OPS_CUDA_CUDA_OPS_H
#define SS_PIPELINE_OPS_CUDA_CUDA_OPS_H

#include "pipeline/ops/ops.h"

/* Both borrow DEVICE, a CUDA device, and load every kernel of this folder: a kernel's first launch
 * must not find an unmet wait on the stream, behind which the driver would not load it. */
SS_MUST_CHECK enum ss_status ss_cuda_ops_create(struct ss_device *device,
                                                const struct ss_ops_options *options,
                                                struct ss_ops **out);
SS_MUST_CHECK enum ss_status ss_cuda_ops_create_bf16(struct ss_device *device,
                                                     const struct ss_ops_options *options,
                                                     struct ss_ops **out);

#endif
