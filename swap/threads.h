/* One function on several threads at once: filling and touching memory is faster so, to a point. */
#ifndef SS_SWAP_THREADS_H
#define SS_SWAP_THREADS_H

/* More would wait for memory. */
#define SS_THREADS_MAX 16

/* Calls WORK(USER) on COUNT threads (1 at least, SS_THREADS_MAX at most), the caller's among them,
 * and returns when all have returned. WORK shares out what there is to do: where a thread cannot be
 * had, those that run do its part. */
void ss_threads_run(int count, void (*work)(void *user), void *user);

/* How many threads one of RANKS processes may use: its share of the cores that it may run on. */
int ss_threads_share(int ranks);

#endif
