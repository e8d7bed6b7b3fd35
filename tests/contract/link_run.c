#include <pthread.h>

#include "tests/contract/link_suite.h"

struct rank_thread {
    struct ss_link *link;
    const struct ss_link_options *options;
    void (*body)(struct ss_link *link, const struct ss_link_options *options);
};

static void *run_rank(void *argument)
{
    struct rank_thread *rank = argument;
    rank->body(rank->link, rank->options);
    rank->link->table->destroy(rank->link);
    return 0;
}

void link_run_threads(const struct ss_link_options *options, int ranks,
                      void (*body)(struct ss_link *link, const struct ss_link_options *options))
{
    struct ss_link **links = calloc((size_t)ranks, sizeof(struct ss_link *));
    struct rank_thread *threads = calloc((size_t)ranks, sizeof *threads);
    pthread_t *ids = calloc((size_t)ranks, sizeof *ids);
    CHECK(links && threads && ids, "memory");
    CHECK(ss_link_open_inproc(options, ranks, links) == SS_OK, "open");
    for (int rank = 0; rank < ranks; rank++) {
        threads[rank] = (struct rank_thread){links[rank], options, body};
        CHECK(pthread_create(&ids[rank], 0, run_rank, &threads[rank]) == 0, "thread");
    }
    for (int rank = 0; rank < ranks; rank++)
        pthread_join(ids[rank], 0);
    free(links);
    free(threads);
    free(ids);
}
