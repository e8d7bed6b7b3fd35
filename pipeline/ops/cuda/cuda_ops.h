/* Operations on CUDA devices: cuBLASLt for products of many rows, own kernels for the rest.
 *
 * Activations, KV and logits are fp16 ("real") or bf16 ("real-bf16"), one type per instance; sums,
 * norms, softmax and sampling are computed in fp32 or better. Weights of the activations' type are
 * multiplied as they are. Others (fp32, or the other 16-bit type) are right but slower: activations
 * are converted to the weights' type, a product in fp32 comes back, slice by slice. bf16 weights
 * take digits from fp16 activations: such models are best run as "real-bf16".
 *
 * Products of up to eight rows whose weights have the activations' type are bound by reading them
 * and have a kernel of their own (few_rows.cu), where the device is of compute capability 9.0 or
 * later and the rows fit its shared memory: with 227 KiB, eight of up to 10,000 columns, one of
 * 80,000. A row's bits are then the same whatever the number of rows. The kernel of any other
 * product is chosen by cuBLASLt's heuristic from the shape alone, with the rows rounded up to a
 * power of two, and cut where it does not take them: no timing, so nothing depends on residency or
 * placement. It does depend on the batch's rows. Attention of fewer than 16 new rows of a sequence
 * depends on each row's own context only.
 *
 * With options->invariant nothing depends on the batch: every product of a shape is cuBLASLt's, by
 * one kernel for all numbers of rows that does not cut its sums, and attention of a head's
 * dimension goes over a context in the same tiles however many rows there are.
 *
 * Kernels may begin while the one before them ends (launch.cuh): a product fetches weights,
 * attention a step's arrays and cached keys and values before the end of what was queued last. They
 * wait for it before they read anything that an operation of the same step writes. gather_tokens
 * and embed wait for all that came before them, and the first operation of a step must be one of
 * them, or follow something else than a kernel.
 *
 * An instance's calls go to one stream at a time, as its work memory is shared by them;
 * store_tokens, which uses none, may go to another. */
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
