/* Edges between stages of one node: messages go straight into the neighbour's memory.
 *
 * Each rank has a ring of places in its GPU's memory, which its previous neighbour fills, and two
 * words: how many places were filled, and how many of its own messages' places the next neighbour
 * has emptied. Who waits for a word waits in the stream, on no multiprocessor: NCCL's receives wait
 * in kernels, which take one from the compute beside them, and kernels of one block for each then
 * run in two rounds. */
#ifndef SS_PIPELINE_COMM_NCCL_PEER_EDGES_H
#define SS_PIPELINE_COMM_NCCL_PEER_EDGES_H

#include "pipeline/link/link.h"
#include "swap/device/device.h"

struct ss_peer_edges;

/* Collective over the group, of PP > 1 stages. *OUT is null, on all ranks, where some rank cannot
 * reach its neighbours' memory: on another node, or without a way between the GPUs. */
SS_MUST_CHECK enum ss_status ss_peer_edges_create(struct ss_link *link, struct ss_device *device,
                                                  int tp, int pp, struct ss_peer_edges **out);
/* Nothing of it may be queued any more. Waits, for a while, until the neighbours do so too. Null:
 * nothing to do. */
void ss_peer_edges_destroy(struct ss_peer_edges *edges);

/* Queued on STREAM, all sends on one and all receives on one. A message is sent ahead of its
 * receive as far as there is room in the ring. */
SS_MUST_CHECK enum ss_status ss_peer_edges_send(struct ss_peer_edges *edges,
                                                struct ss_stream *stream, ss_device_address data,
                                                size_t bytes);
SS_MUST_CHECK enum ss_status ss_peer_edges_receive(struct ss_peer_edges *edges,
                                                   struct ss_stream *stream, ss_device_address data,
                                                   size_t bytes);

/* Ends all waits for a neighbour that is lost: what was queued then runs, and means nothing. Any
 * thread. */
void ss_peer_edges_let_go(struct ss_peer_edges *edges);

#endif
