/* The host arena: one shared mapping per node that holds the pinned master copy of every shard.
 *
 * A memfd, mapped by all ranks of the node; nothing is left behind when the ranks die. One rank
 * creates it, the others attach to its descriptor. Every rank reserves the ranges it fills before
 * it touches them, in parallel; what cannot be had is an error with the numbers, never a SIGBUS. */
#ifndef SS_SWAP_ARENA_H
#define SS_SWAP_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/status.h"

#define SS_ARENA_ALIGN ((size_t)2 << 20)

struct ss_arena;

/* BYTES (rounded up to SS_ARENA_ALIGN), checked against LIMIT_BYTES (0: none), the memory that is
 * available now and the cgroup's limit, whichever is least. Huge pages are asked for and not
 * required. */
SS_MUST_CHECK enum ss_status ss_arena_create(size_t bytes, size_t limit_bytes,
                                             struct ss_arena **out);

/* Maps the arena behind a descriptor that another process passed; takes over FD on success. */
SS_MUST_CHECK enum ss_status ss_arena_attach(int fd, size_t bytes, struct ss_arena **out);

/* The arena's descriptor, owned by it, for passing on. */
int ss_arena_fd(const struct ss_arena *arena);
size_t ss_arena_bytes(const struct ss_arena *arena);

/* Backs [OFFSET, OFFSET + BYTES) with memory now, by THREADS threads (1 at least). */
SS_MUST_CHECK enum ss_status ss_arena_reserve(struct ss_arena *arena, size_t offset, size_t bytes,
                                              int threads);

/* The address of OFFSET in this process. */
void *ss_arena_at(const struct ss_arena *arena, size_t offset);

/* Unmaps and closes; the memory goes when the last process did so. */
void ss_arena_destroy(struct ss_arena *arena);

/* Passes the arena's descriptor between processes of one user: the sender listens under NAME, an
 * abstract Unix socket, and gives FD to the first RECEIVERS processes that come; a receiver comes
 * whenever it likes and owns what it gets. Both block, and give up after TIMEOUT_MS. */
SS_MUST_CHECK enum ss_status ss_arena_send_fd(int fd, const char *name, int receivers,
                                              int timeout_ms);
SS_MUST_CHECK enum ss_status ss_arena_receive_fd(const char *name, int timeout_ms, int *fd);

#endif
